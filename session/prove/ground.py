"""The ground of every proof: the server's host held and made ready, and each server at its version."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.catalogue.own_lock import OwnLock, with_app, with_own_locks
from bench.catalogue.read import load_catalogue
from bench.catalogue.versions import for_version, read_lock
from bench.environment.hosts import Inventory
from bench.errors import ProvisionError
from bench.plan.make import LOCK_FILE
from bench.proofs.request import ProveRequest
from bench.proofs.subject import Subject, subject_of
from bench.spec import ServerSpec
from inventory.read import read_inventory
from loadgen.endpoints import known_endpoints
from remote.database import TOOLS_GROUP
from remote.fleet import Fleet, open_fleet
from remote.guarded import GuardedHost, new_session
from remote.proving import PROBES_GROUP
from remote.provision.own_locks import own_locks
from remote.provision.provision import Provisioned, check_wheels, provision, read_locks
from remote.provision.ship import travelling_files
from remote.ssh.ask import terminal
from session.locks import LOCKS_FOLDER

if TYPE_CHECKING:
    from packaging.pylock import Pylock

Report = Callable[[str], None]
Variants = Callable[[ServerSpec], Iterable[ServerSpec]]
"""An entry as it is started in other environments than its own, if it is."""


class Ground(msgspec.Struct, frozen=True):
    """A server's host, ready for proofs."""

    fleet: Fleet
    host: GuardedHost
    provisioned: Provisioned
    servers: dict[str, ServerSpec]  # by name, each as it holds for its version
    subjects: dict[str, Subject]

    @property
    def environment(self) -> str:
        """The inventory's name."""
        return self.fleet.inventory.name


def asked_specs(request: ProveRequest) -> tuple[tuple[ServerSpec, ...], tuple[OwnLock, ...]]:
    """The entries that are asked for, each as it holds for its version, and the locks of their own.

    Raises UsageError, CatalogueError and ProvisionError.
    """
    catalogue = load_catalogue(known_endpoints().names, request.catalogue)
    names = dict.fromkeys(request.servers or [one.name for one in catalogue.servers])
    lock = read_lock(request.root / LOCK_FILE)
    specs = [with_app(catalogue.server(name), lock) for name in names]
    own = own_locks(specs, [request.results_root / LOCKS_FOLDER], request.root)
    known = with_own_locks(lock, own)
    return tuple(for_version(spec, known.version_of(spec)) for spec in specs), own


@contextlib.contextmanager
def ground(
    request: ProveRequest,
    purpose: str,
    report: Report,
    variants: Variants = lambda spec: (),
    beside: Sequence[str] = (TOOLS_GROUP, PROBES_GROUP),
) -> Iterator[Ground]:
    """Hold the server's host and have everything there that proofs of the servers need.

    ``purpose`` is what another user reads who finds the host held; ``beside`` are the groups whose
    environments the proof needs beside the servers'. Load hosts and the database's are not touched. At the
    end the host is given back, and nothing is left running there. Raises what reading the inventory,
    connecting and provisioning raise.
    """
    specs, own = asked_specs(request)
    every = {spec.name: (spec, *variants(spec)) for spec in specs}
    own = (*own, *_locks_of_variants(request, own, [one for several in every.values() for one in several]))
    inventory = read_inventory(request.hosts, root=request.root)
    with _held(inventory, purpose, report) as fleet:
        host = fleet.server
        wanted = {name: tuple(one.group for one in several) for name, several in every.items()}
        locks = _locks([beside, *wanted.values()], own, request.root)
        wanted = _with_wheels(wanted, host, locks, report, must=bool(request.servers))
        check_wheels(host.facts, beside, locks)
        groups = dict.fromkeys([*beside, *(group for several in wanted.values() for group in several)])
        provisioned = provision(
            host,
            host.facts,
            tuple(groups),
            root=request.root,
            files=travelling_files(),
            locks=locks,
            report=lambda text: report(f"{host.host.name}: {text}"),
        )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        ready = {spec.name: spec for spec in specs if spec.name in wanted}
        subjects = {}
        for spec in ready.values():
            packages = provisioned.environments[spec.group].versions
            subjects[spec.name] = subject_of(spec, packages[spec.package], packages, host.facts, now)
        yield Ground(fleet, host, provisioned, ready, subjects)


def _locks_of_variants(
    request: ProveRequest, known: Sequence[OwnLock], specs: Iterable[ServerSpec]
) -> tuple[OwnLock, ...]:
    have = {one.group for one in known}
    wanted = [spec for spec in specs if spec.requirements and spec.group not in have]
    return own_locks(wanted, [request.results_root / LOCKS_FOLDER], request.root)


def _locks(wanted: Iterable[Iterable[str]], own: Sequence[OwnLock], root: Path) -> dict[str, Pylock]:
    theirs = {one.group: one.pylock for one in own}
    groups = {group for several in wanted for group in several} - theirs.keys()
    return {**read_locks(sorted(groups), root), **theirs}


def _with_wheels(
    wanted: Mapping[str, tuple[str, ...]],
    host: GuardedHost,
    locks: Mapping[str, Pylock],
    report: Report,
    *,
    must: bool,
) -> dict[str, tuple[str, ...]]:
    """The servers that the host has every wheel for.

    One that it lacks some for is left out and reported, where all servers were asked for. Raises
    ProvisionError where it was named (``must``), and where none is left.
    """
    found: dict[str, tuple[str, ...]] = {}
    missing: ProvisionError | None = None
    for name, groups in wanted.items():
        try:
            check_wheels(host.facts, groups, locks)
            found[name] = groups
        except ProvisionError as error:
            if must:
                raise
            report(f"{name} is left out: {error.message}")
            missing = error
    if not found and missing is not None:
        raise missing
    return found


@contextlib.contextmanager
def _held(inventory: Inventory, purpose: str, report: Report) -> Iterator[Fleet]:
    """The server's host and this machine."""
    alone = msgspec.structs.replace(inventory, loadgen=(inventory.server,), database=None)
    fleet = open_fleet(alone, new_session(purpose), report=report, ask=terminal())
    try:
        yield fleet
    finally:
        for name, failure in fleet.release().items():
            report(f"{name} could not be told to stop ({failure}); its guard stops everything by itself")
