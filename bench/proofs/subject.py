"""Whom a proof is of: a server in one environment on one host."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from bench.environment.hosts import HostFacts
from bench.spec import ServerSpec


class Subject(msgspec.Struct, frozen=True):
    """A server as it was proven. Two proofs with equal ``identity`` are of the same thing."""

    server: str  # its name in the catalogue
    title: str  # for readers, with its version
    version: str  # of its package
    packages: dict[str, str]  # {normalised name: version} of the environment that it is measured in
    python: str  # "3.11.2"
    system: str  # "Linux", "Darwin"
    spec_sha256: str  # of the entry, at its version
    host: str  # its name in the inventory
    measured_at: str  # ISO 8601, UTC
    family: str = ""  # the entry of today's versions that it stands beside, or its own name
    package: str = ""  # whose version counts as the server's

    @property
    def identity(self) -> tuple[object, ...]:
        """What decides whether a proof holds for a measured server: entry, packages, Python and system."""
        return self.server, tuple(sorted(self.packages.items())), self.python, self.system

    @property
    def when_and_where(self) -> str:
        """For readers: ``on here, 2026-11-28``."""
        return f"on {self.host}, {self.measured_at[:10]}"


def subject_of(
    spec: ServerSpec, version: str, packages: Mapping[str, str], facts: HostFacts, measured_at: str
) -> Subject:
    return Subject(
        server=spec.name,
        title=spec.title or spec.name,
        version=version,
        packages=dict(packages),
        python=facts.python_version,
        system=facts.system,
        spec_sha256=hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest(),
        host=facts.host,
        measured_at=measured_at,
        family=spec.family or spec.name,
        package=spec.package,
    )
