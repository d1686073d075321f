"""Proofs on disk: ``results/proofs/KIND-ENVIRONMENT.json``, and in a benchmark's folder ``proofs/KIND.json``.

A new proof of a server takes the place of its old one in the file; the others stay. A benchmark takes along
the proofs of its own servers, so that its report stands on its own folder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from bench.errors import ResultError
from bench.plan.plan import Environment, Plan
from bench.proofs.subject import Subject, subject_of
from bench.results.store import Store

PROOFS_VERSION = 1
PROOFS_FOLDER = "proofs"

Finding = TypeVar("Finding")


class Proofs(msgspec.Struct, Generic[Finding], frozen=True):
    """One kind of proof of several servers. ``findings`` are by server, as ``subjects``."""

    kind: str
    version: int  # PROOFS_VERSION
    made_at: str  # of the latest of them: ISO 8601, UTC
    command: tuple[str, ...]  # that made the latest
    environment: str  # the inventory's name
    subjects: dict[str, Subject]
    findings: dict[str, Finding]

    def of(self, servers: Iterable[str]) -> Proofs[Finding]:
        """Those of some servers alone, in their order."""
        kept = [name for name in servers if name in self.subjects]
        return msgspec.structs.replace(
            self,
            subjects={name: self.subjects[name] for name in kept},
            findings={name: self.findings[name] for name in kept},
        )


def read_proofs(path: Path, finding: type[Finding]) -> Proofs[Finding] | None:
    """None where there is no such file. Raises ResultError for one that is damaged or of another version."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ResultError(f"can't read {path}: {error.strerror}", remedy="Make it readable") from error
    try:
        found = msgspec.json.decode(content, type=Proofs[msgspec.Raw])
        if found.version != PROOFS_VERSION:
            raise ResultError(
                f"{path} is of version {found.version}; this asgibench reads version {PROOFS_VERSION}",
                remedy="Read it with the asgibench that wrote it, or delete it and prove again",
            )
        decoded = {name: msgspec.json.decode(raw, type=finding) for name, raw in found.findings.items()}
    except msgspec.DecodeError as error:
        raise ResultError(f"{path} is damaged: {error}", remedy="Delete it and prove again") from error
    return Proofs(
        found.kind, found.version, found.made_at, found.command, found.environment, found.subjects, decoded
    )


def add_proofs(results: Path, proofs: Proofs[Finding], finding: type[Finding]) -> Path:
    """Put them into the file of their kind and environment; its path. Raises ResultError, DiskFull."""
    folder = results / PROOFS_FOLDER
    name = f"{proofs.kind}-{proofs.environment}.json"
    earlier = read_proofs(folder / name, finding)
    if earlier is not None:
        proofs = msgspec.structs.replace(
            proofs,
            subjects=earlier.subjects | proofs.subjects,
            findings=earlier.findings | proofs.findings,
        )
    return _written(folder, name, proofs)


def keep_with(store: Store, proofs: Proofs[Finding]) -> None:
    """Put what a benchmark has proven by itself into its own folder. Raises ResultError, DiskFull."""
    _written(store.directory / PROOFS_FOLDER, f"{proofs.kind}.json", proofs)


def take_proofs(results: Path, store: Store, plan: Plan, environment: Environment) -> tuple[str, ...]:
    """Copy what is proven of the benchmark's servers into its folder; the kinds that were copied.

    Of several proofs of one server, that of the benchmark's own environment counts first, then the latest.
    A proof that was taken earlier stays where there is no newer one. What is proven of their other versions
    (``uvicorn-paper`` beside ``uvicorn``) goes along, for the paper's claims. Raises ResultError, DiskFull.
    """
    measured = measured_subjects(plan, environment)
    families = {one.family for one in measured.values()}
    by_kind: dict[str, Proofs[msgspec.Raw]] = {}
    paths = [*_files(store.directory / PROOFS_FOLDER), *_files(results / PROOFS_FOLDER)]
    found = [one for path in paths if (one := read_proofs(path, msgspec.Raw)) is not None]
    for proofs in sorted(found, key=lambda one: (one.environment == plan.environment, one.made_at)):
        fitting = [
            name for name, subject in proofs.subjects.items() if _goes_along(subject, measured, families)
        ]
        if fitting:
            chosen = proofs.of(fitting)
            before = by_kind.get(proofs.kind)
            by_kind[proofs.kind] = chosen if before is None else _merged(before, chosen)
    for kind, proofs in by_kind.items():
        names = dict.fromkeys([*(spec.name for spec in plan.servers), *sorted(proofs.subjects)])
        _written(store.directory / PROOFS_FOLDER, f"{kind}.json", proofs.of(names))
    return tuple(by_kind)


def _goes_along(subject: Subject, measured: Mapping[str, Subject], families: Collection[str]) -> bool:
    if subject.server in measured:
        return measured[subject.server].identity == subject.identity
    return subject.family in families


def measured_subjects(plan: Plan, environment: Environment) -> dict[str, Subject]:
    """The benchmark's servers as subjects of proofs, those whose packages are known."""
    facts = environment.facts.get(environment.server)
    groups = environment.versions.get(environment.server, {})
    if facts is None:
        return {}
    return {
        spec.name: subject_of(spec, packages.get(spec.package, ""), packages, facts, plan.created_at)
        for spec in plan.servers
        if (packages := groups.get(spec.group)) is not None
    }


class KeptProofs:
    """The proofs in one benchmark's folder, read when they are asked for."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder`` is the benchmark's; None: there are none."""
        self._folder = folder

    def of_kind(self, kind: str, finding: type[Finding]) -> Proofs[Finding] | None:
        """None where no server of the benchmark was proven. Raises ResultError."""
        if self._folder is None:
            return None
        return read_proofs(self._folder / PROOFS_FOLDER / f"{kind}.json", finding)


def unproven_servers(plan: Plan, proofs: Proofs[Finding] | None) -> tuple[str, ...]:
    """The names of the benchmark's servers that have no proof of a kind."""
    known: Mapping[str, Subject] = {} if proofs is None else proofs.subjects
    return tuple(spec.name for spec in plan.servers if spec.name not in known)


def _merged(before: Proofs[msgspec.Raw], after: Proofs[msgspec.Raw]) -> Proofs[msgspec.Raw]:
    return msgspec.structs.replace(
        after, subjects=before.subjects | after.subjects, findings=before.findings | after.findings
    )


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.json")) if folder.is_dir() else []


def _written(folder: Path, name: str, proofs: Proofs[Finding]) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(
            f"can't make {folder}: {error.strerror}", remedy="Make the results' folder writable"
        ) from error
    content = msgspec.json.format(msgspec.json.encode(proofs, order="deterministic"), indent=1) + b"\n"
    return Store(folder).write_file(name, content)
