"""The ground of every proof: the server's host held and made ready, and each server at its version."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.catalogue.own_lock import OwnLock, with_app, with_own_locks
from bench.catalogue.read import load_catalogue
from bench.catalogue.versions import for_version, read_lock
from bench.environment.hosts import Inventory
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
        groups = [*beside, *(one.group for several in every.values() for one in several)]
        provisioned = _provision(host, groups, own, request.root, report)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        subjects = {}
        for spec in specs:
            packages = provisioned.environments[spec.group].versions
            subjects[spec.name] = subject_of(spec, packages[spec.package], packages, host.facts, now)
        yield Ground(fleet, host, provisioned, {spec.name: spec for spec in specs}, subjects)


def _locks_of_variants(
    request: ProveRequest, known: Sequence[OwnLock], specs: Iterable[ServerSpec]
) -> tuple[OwnLock, ...]:
    have = {one.group for one in known}
    wanted = [spec for spec in specs if spec.requirements and spec.group not in have]
    return own_locks(wanted, [request.results_root / LOCKS_FOLDER], request.root)


def _provision(
    host: GuardedHost, groups: Iterable[str], own: Sequence[OwnLock], root: Path, report: Report
) -> Provisioned:
    locks_of_own: Mapping[str, object] = {one.group: one for one in own}
    wanted = list(dict.fromkeys(groups))
    locks = {
        **read_locks(sorted(set(wanted) - locks_of_own.keys()), root),
        **{one.group: one.pylock for one in own},
    }
    check_wheels(host.facts, wanted, locks)
    name = host.host.name
    return provision(
        host,
        host.facts,
        wanted,
        root=root,
        files=travelling_files(),
        locks=locks,
        report=lambda text: report(f"{name}: {text}"),
    )


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
