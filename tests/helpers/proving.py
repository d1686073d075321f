"""Servers proven on this machine, in the environments that tests share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bench.catalogue.own_lock import with_app, with_own_locks
from bench.catalogue.read import load_catalogue
from bench.catalogue.versions import for_version, read_lock
from bench.proofs.subject import subject_of
from bench.spec import ServerSpec
from inventory.read import read_inventory
from loadgen.endpoints import known_endpoints
from remote.fleet import Fleet, open_fleet
from remote.guarded import new_session
from remote.proving import PROBES_GROUP
from remote.provision.own_locks import own_locks
from remote.provision.provision import Provisioned, VirtualEnvironment
from session.prove.ground import Ground
from tests.helpers.environments import LOCKS, ROOT, programs_of
from tests.helpers.program import LOCAL_INVENTORY, work_folder

Variants = Callable[[ServerSpec], Iterable[ServerSpec]]


def entries(catalogue: Path | None = None, *names: str) -> dict[str, ServerSpec]:
    """Every entry, or those of ``names``, at its version; by name."""
    found = load_catalogue(known_endpoints().names, catalogue)
    lock = read_lock(ROOT / "uv.lock")
    specs = [with_app(spec, lock) for spec in found.servers if not names or spec.name in names]
    known = with_own_locks(lock, own_locks(specs, [LOCKS], ROOT))
    return {spec.name: for_version(spec, known.version_of(spec)) for spec in specs}


@contextlib.contextmanager
def ground_of(specs: dict[str, ServerSpec], folder: Path, variants: Variants) -> Iterator[Ground]:
    """What provisioning this machine for these servers comes to. ``folder`` is the test's own."""
    every = [spec for one in specs.values() for spec in (one, *variants(one))]
    own_locks([spec for spec in every if spec.requirements], [LOCKS], ROOT)
    groups = dict.fromkeys([PROBES_GROUP, *(spec.group for spec in every)])
    with work_folder() as outside, _held(folder, outside / "w") as fleet:
        environments = {group: _environment(group) for group in groups}
        provisioned = Provisioned(
            host=fleet.server.host.name,
            environments=environments,
            uv="",
            uv_version="",
            shipped=str(ROOT),
            changed=False,
            seconds=0.0,
            pushed_bytes=0,
        )
        facts = fleet.server.facts
        subjects = {
            name: subject_of(spec, "", {}, facts, "2026-11-28T00:00:00+00:00") for name, spec in specs.items()
        }
        yield Ground(fleet, fleet.server, provisioned, specs, subjects)


@contextlib.contextmanager
def _held(folder: Path, workdir: Path) -> Iterator[Fleet]:
    path = folder / "here.yml"
    path.write_text(LOCAL_INVENTORY.format(workdir=workdir))
    fleet = open_fleet(read_inventory(str(path), root=ROOT), new_session("a test"), report=lambda text: None)
    try:
        yield fleet
    finally:
        assert fleet.release() == {}


def _environment(group: str) -> VirtualEnvironment:
    directory = programs_of(group).parent
    return VirtualEnvironment(group, str(directory), str(directory / "bin" / "python"), {})
