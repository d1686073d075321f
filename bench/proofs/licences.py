"""Licences and health of what a server's environment installs, by the packages' own metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from packaging.utils import canonicalize_name

from bench.licences.expression import holds, names_in
from bench.licences.obligations import obligation_of
from bench.licences.relations import Relation, relations
from bench.licences.stated import LicenceOf, licence_of
from bench.wire.installed import InstalledPackage

LICENCES = "licences"
"""The kind's name."""

_PYTHON = re.compile(r"Programming Language :: Python :: (3\.[0-9]+)")


class PackageFinding(msgspec.Struct, frozen=True):
    """One package of an environment."""

    name: str  # as it writes it
    version: str
    relation: Relation
    licence: LicenceOf
    requires_python: str  # as its metadata have it; "": they state none
    pythons: tuple[str, ...]  # the minor versions that its classifiers name: "3.11"
    released: str  # the day on which the index had its first file, as the lock has it; "": not known
    files: int  # without bytecode
    size_bytes: int  # of these
    compiled: dict[str, int]  # {path from site-packages: bytes} of its machine code
    problems: tuple[str, ...] = ()  # what of its metadata can't be read


class ServerLicences(msgspec.Struct, frozen=True):
    """All packages of a server's environment: its own first, the test app's last."""

    packages: tuple[PackageFinding, ...]

    @property
    def server(self) -> PackageFinding | None:
        """The server's own package."""
        return next((one for one in self.packages if one.relation == "server"), None)

    @property
    def of_server(self) -> tuple[PackageFinding, ...]:
        """What the server makes its user install; the test app's packages are not among them."""
        return tuple(one for one in self.packages if one.relation != "app")

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.of_server)

    @property
    def compiled(self) -> dict[str, int]:
        """{package: bytes of machine code} of those that have some."""
        found = {one.name: sum(one.compiled.values()) for one in self.of_server}
        return {name: size for name, size in found.items() if size}

    @property
    def unknown(self) -> tuple[PackageFinding, ...]:
        """Those of whose licence we can't say what it is or what it asks, whichever of those named holds."""
        return tuple(one for one in self.of_server if not _is_judged(one.licence))

    @property
    def restricted(self) -> tuple[PackageFinding, ...]:
        """Those whose licence restricts use, whichever of its alternatives is taken."""
        return tuple(one for one in self.of_server if _restricts_use(one.licence))


def licences_found(
    installed: Sequence[InstalledPackage],
    server: str,
    app: Iterable[str],
    released: Mapping[str, str],
    environment: Mapping[str, str],
) -> ServerLicences:
    """``released`` is the day of each release, by normalised name; ``environment`` is what markers see."""
    related = relations(installed, server, app, environment)
    order: tuple[Relation, ...] = ("server", "needed", "beside", "app")
    found = [
        PackageFinding(
            name=one.name or one.folder,
            version=one.version,
            relation=related.get(canonicalize_name(one.name), "needed") if one.name else "needed",
            licence=licence_of(one),
            requires_python=one.requires_python,
            pythons=_pythons(one.classifiers),
            released=released.get(canonicalize_name(one.name), "") if one.name else "",
            files=one.files,
            size_bytes=one.size_bytes,
            compiled={file.path: file.size_bytes for file in one.compiled},
            problems=one.problems,
        )
        for one in installed
    ]
    return ServerLicences(tuple(sorted(found, key=lambda one: (order.index(one.relation), one.name.lower()))))


def _pythons(classifiers: Iterable[str]) -> tuple[str, ...]:
    found = {match[1] for one in classifiers if (match := _PYTHON.fullmatch(one))}
    return tuple(sorted(found, key=lambda version: int(version.partition(".")[2])))


def _is_judged(licence: LicenceOf) -> bool:
    names = names_in(licence.spdx) if licence.spdx else licence.named
    return bool(names) and all(obligation_of(name) is not None for name in names)


def _restricts_use(licence: LicenceOf) -> bool:
    """Of several that are named without telling how they go together, one is enough."""

    def restricts(name: str) -> bool:
        known = obligation_of(name)
        return known is not None and known.restricts_use

    if licence.spdx:
        return holds(licence.spdx, restricts)
    return any(restricts(name) for name in licence.named)
