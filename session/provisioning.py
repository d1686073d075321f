"""What each host's role needs is installed there, and our own files are sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.balancers import PROGRAMS
from bench.catalogue.own_lock import OwnLock
from bench.clients import client_of
from bench.plan.locustfile import source_of
from bench.plan.plan import Plan
from bench.plan.serving import groups_of
from bench.programs import HostProgram
from loadgen.cluster import user_file
from remote.database import TOOLS_GROUP
from remote.fleet import Fleet
from remote.parallel import on_all
from remote.provision.debian import supply_program
from remote.provision.provision import Provisioned, check_wheels, provision, read_locks
from remote.provision.ship import travelling_files
from reports.terminal.progress import Progress
from session.parties.load import LOAD_GROUP


def provision_hosts(
    fleet: Fleet, plan: Plan, own_locks: Sequence[OwnLock], root: Path, progress: Progress
) -> dict[str, Provisioned]:
    """What came of it, by host. ``own_locks`` are those of the plan. Raises as check_wheels and provision."""
    roles = _groups_by_host(fleet, plan)
    files = travelling_files()
    if plan.locustfile is not None:
        files[user_file(plan.locustfile.name)] = source_of(plan.locustfile)

    # Every host is asked before any is sent something.
    own = {lock.group: lock.pylock for lock in own_locks}
    groups = {group for groups in roles.values() for group in groups} - own.keys()
    locks = {**read_locks(sorted(groups), root), **own}
    on_all(lambda name: check_wheels(fleet.hosts[name].facts, roles[name], locks), roles, str)

    def provision_one(name: str) -> Provisioned:
        one = fleet.hosts[name]

        def report(text: str) -> None:
            progress.step(f"{name}: {text}")

        groups = list(dict.fromkeys(roles[name]))
        found = provision(one, one.facts, groups, root=root, files=files, locks=locks, report=report)
        wanted = programs_of(plan) if LOAD_GROUP in groups else ()
        wanted += server_programs(plan) if name == fleet.server.host.name else ()
        programs = {
            program.name: supply_program(one, one.facts, program, report=report) for program in wanted
        }
        return msgspec.structs.replace(found, programs=programs)

    found = on_all(provision_one, roles, str)
    for name, one in found.items():
        if one.changed:
            progress.note(
                "Ready", f"{name}: provisioned in {one.seconds:.0f} s, {one.pushed_bytes / 1e6:.0f} MB sent"
            )
    return found


def programs_of(plan: Plan) -> tuple[HostProgram, ...]:
    """What the plan's load is made with that is no Python package."""
    programs = [client_of(run.cell.client).program for run in plan.runs]
    return tuple(dict.fromkeys(program for program in programs if program is not None))


def server_programs(plan: Plan) -> tuple[HostProgram, ...]:
    """The balancers before the plan's servers, on their host."""
    return tuple(dict.fromkeys(PROGRAMS[run.cell.balancer] for run in plan.runs if run.cell.balancer))


def _groups_by_host(fleet: Fleet, plan: Plan) -> dict[str, list[str]]:
    """The dependency groups that each host's roles need."""
    inventory = fleet.inventory
    servers = groups_of(plan.servers, [run.cell for run in plan.runs])
    groups = {inventory.server.name: [TOOLS_GROUP, *dict.fromkeys(servers)]}
    if inventory.database is not None:
        groups.setdefault(inventory.database.name, []).append(TOOLS_GROUP)
    for host in inventory.loadgen:
        groups.setdefault(host.name, []).append(LOAD_GROUP)
    if "server" in plan.profile.load_on:
        groups[inventory.server.name].append(LOAD_GROUP)
    return groups
