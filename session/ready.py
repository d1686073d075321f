"""The hosts made ready: checked, provisioned, everything started that outlives a run."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import msgspec

from bench.catalogue.own_lock import OwnLock
from bench.environment.calibration import CALIBRATION_FILE, calibration_path
from bench.environment.links import LINKS_FILE, Links
from bench.plan.locustfile import source_of
from bench.plan.make import BenchRequest
from bench.plan.placement import Placement, place, place_on_server
from bench.plan.plan import Environment, Plan
from bench.results.result import Reason
from bench.results.store import Store
from bench.spec import Endpoint
from loadgen.cluster import LoadHost, client_file, start_cluster, user_file
from remote.agents import AgentHost, Agents, start_agents
from remote.database import TOOLS_GROUP, Database, Place, start_database, use_database
from remote.fleet import Fleet
from remote.parallel import on_all, prompt_pool
from remote.provision.provision import Provisioned, check_wheels, provision, read_locks
from remote.provision.ship import travelling_files
from remote.readiness import check_fleet
from remote.server import Deployment, check_same_answers, start_server, stop_server
from reports.progress import Progress
from session.announce import database_shown
from session.doubts import warn_of_hosts
from session.locks import kept_locks
from session.prepare import demand_of
from session.stage import LOAD_GROUP, Load, Stage, Way
from testapp.data import expected_body, tokens

CLOCK_ERROR_SECONDS = 0.05


def make_stage(
    fleet: Fleet,
    request: BenchRequest,
    plan: Plan,
    store: Store,
    progress: Progress,
    warnings: list[Reason],
) -> Stage:
    links = _check_ready(fleet, request, plan, progress, warnings)
    provisioned = _provision(fleet, request.root, plan, kept_locks(store, plan), progress)
    facts = {name: one.facts for name, one in fleet.hosts.items()}
    placement = place(
        fleet.inventory,
        facts,
        workers_per_host=plan.profile.load_workers,
        workers_in_all=plan.profile.load_workers_in_all,
    )
    loads = _loads(fleet, plan, provisioned, placement)
    way = next(iter(loads))
    warn_of_hosts(fleet, placement, progress, warnings)
    progress.step("starting database, agents and load workers")
    with prompt_pool(4) as pool:
        database = pool.submit(_start_database, fleet, plan, provisioned, placement)
        agents = pool.submit(_start_agents, fleet, provisioned, placement)
        cluster = pool.submit(
            start_cluster, fleet.controller, loads[way].hosts, master_cores=placement.controller
        )
        offsets = pool.submit(
            on_all, lambda one: one.clock_offset(), fleet.guarded, lambda one: one.host.name
        )
        wait_for_all(database, agents, cluster, offsets)
    deployments = {
        spec.name: _deployment(
            fleet, plan, provisioned, placement, database.result(), spec.name, request.port
        )
        for spec in plan.servers
    }
    stage = Stage(
        plan=plan,
        fleet=fleet,
        placement=loads[way].placement,
        deployments=deployments,
        database=database.result(),
        cluster=cluster.result(),
        agents=agents.result(),
        clock_offsets={name: offset for name, (offset, _) in offsets.result().items()},
        tokens=tokens(plan.seed),
        body_sha256=_expected_bodies(plan),
        port=request.port,
        loads=loads,
        way=way,
        links=links,
    )
    if links is not None:
        store.write_file(LINKS_FILE, msgspec.json.encode(links))
    store.write_environment(_environment(stage, provisioned, offsets.result()))
    ceilings = calibration_path(request.results_root, fleet.inventory.name)
    if ceilings.exists():
        store.write_file(CALIBRATION_FILE, ceilings.read_bytes())
    _verify(stage, progress)
    clock_error = max(error for _, error in offsets.result().values())
    if clock_error > CLOCK_ERROR_SECONDS:
        late = Reason(
            "clocks_uncertain",
            f"the hosts' clocks are known to {clock_error * 1000:.0f} ms only: windows are cut no better",
            remedy="See what slows the connections to the hosts",
        )
        progress.warn(late.text)
        warnings.append(late)
    equal = "every server starts" if plan.locustfile else "answers equal"
    progress.note("Check", f"host keys ok, clocks ok ({clock_error * 1000:.1f} ms), {equal}")
    return stage


def wait_for_all(*futures: Future[Any]) -> None:
    """Wait for every one, then raise the first failure: none is left half-started unseen."""
    wait(futures)
    errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error


def _check_ready(
    fleet: Fleet, request: BenchRequest, plan: Plan, progress: Progress, warnings: list[Reason]
) -> Links | None:
    """What binds the plan stops it here; what only limits is said. What the links carry, if there are any."""
    progress.step("checking what the hosts can carry")
    findings, links = check_fleet(fleet, demand_of(plan), port=request.port, results=request.results_root)
    for one in findings:
        # Frequency scaling is said by warn_of_hosts; other programs' share is judged in every run.
        if one.state == "limits" and one.what not in ("frequency", "cores"):
            progress.note("Limit", f"{one.host}: {one.what}: {one.text}")
            if one.what != "link":
                code = f"host_{one.what.replace(' ', '_')}"
                warnings.append(Reason(code, f"{one.host}: {one.text}", one.remedy))
    return links


def _provision(
    fleet: Fleet, root: Path, plan: Plan, own_locks: Sequence[OwnLock], progress: Progress
) -> dict[str, Provisioned]:
    inventory = fleet.inventory
    servers = [spec.group for spec in plan.servers]
    roles = {inventory.server.name: [TOOLS_GROUP, *dict.fromkeys(servers)]}
    if inventory.database is not None:
        roles.setdefault(inventory.database.name, []).append(TOOLS_GROUP)
    for host in inventory.loadgen:
        roles.setdefault(host.name, []).append(LOAD_GROUP)
    if "server" in plan.profile.load_on:
        roles[inventory.server.name].append(LOAD_GROUP)
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
        return provision(
            one,
            one.facts,
            list(dict.fromkeys(roles[name])),
            root=root,
            files=files,
            locks=locks,
            report=lambda text: progress.step(f"{name}: {text}"),
        )

    found = on_all(provision_one, roles, str)
    for name, one in found.items():
        if one.changed:
            progress.note(
                "Ready", f"{name}: provisioned in {one.seconds:.0f} s, {one.pushed_bytes / 1e6:.0f} MB sent"
            )
    return found


def _start_database(
    fleet: Fleet, plan: Plan, provisioned: Mapping[str, Provisioned], placement: Placement
) -> Database | None:
    if not any(endpoint.uses_database or endpoint.is_users_own for endpoint in plan.endpoints):
        return None
    places = {
        one.host.name: Place(
            one,
            provisioned[one.host.name].environments[TOOLS_GROUP].python,
            str(provisioned[one.host.name].shipped),
        )
        for one in (fleet.server, fleet.database)
    }
    server = places[fleet.server.host.name]
    existing = fleet.inventory.existing_database
    if existing is not None:
        return use_database(existing, server, seed=plan.seed)
    place_of_database = places[fleet.database.host.name]
    return start_database(place_of_database, cores=placement.database, seed=plan.seed, server=server)


def _start_agents(fleet: Fleet, provisioned: Mapping[str, Provisioned], placement: Placement) -> Agents:
    return start_agents(
        {
            name: AgentHost(
                guarded=fleet.hosts[name],
                python=next(iter(one.environments.values())).python
                if TOOLS_GROUP not in one.environments
                else one.environments[TOOLS_GROUP].python,
                shipped_directory=str(one.shipped),
                cores=_agent_cores(name, placement),
            )
            for name, one in provisioned.items()
        }
    )


def _agent_cores(host: str, placement: Placement) -> tuple[int, ...] | None:
    """Beside the load where a host has both roles: the server's cores are not to be disturbed."""
    pinned = tuple(core for core in placement.load.get(host, ()) if core is not None)
    return pinned or None


def _loads(
    fleet: Fleet, plan: Plan, provisioned: Mapping[str, Provisioned], usual: Placement
) -> dict[Way, Load]:
    """Every way of making the load that the plan has."""
    ways = dict.fromkeys((run.cell.client, run.cell.load_on) for run in plan.runs)
    workers = plan.profile.load_workers_in_all or plan.profile.load_workers
    facts = {name: one.facts for name, one in fleet.hosts.items()}
    found: dict[Way, Load] = {}
    for client, load_on in ways:
        placement = usual
        if load_on == "server":
            count = workers or len(facts[fleet.server.host.name].cores_usable)
            placement = place_on_server(usual, fleet.inventory, facts, count)
        locustfile = client_file(client) if plan.locustfile is None else user_file(plan.locustfile.name)
        hosts = tuple(
            LoadHost(
                guarded=fleet.hosts[name],
                program_directory=f"{provisioned[name].environments[LOAD_GROUP].directory}/bin",
                shipped_directory=str(provisioned[name].shipped),
                worker_cores=cores,
                user_file=locustfile,
                any_core=placement.server if load_on == "server" else None,
            )
            for name, cores in placement.load.items()
        )
        found[client, load_on] = Load(placement, hosts)
    return found


def _deployment(
    fleet: Fleet,
    plan: Plan,
    provisioned: Mapping[str, Provisioned],
    placement: Placement,
    database: Database | None,
    server: str,
    port: int,
) -> Deployment:
    spec = next(one for one in plan.servers if one.name == server)
    one = provisioned[fleet.server.host.name]
    environment = one.environments[spec.group]
    return Deployment(
        spec=spec,
        version=environment.versions[spec.package],
        program_directory=f"{environment.directory}/bin",
        app_directory=str(one.shipped),
        answers_script=f"{one.shipped}/remote/onhost/answers.py",
        python=one.environments[TOOLS_GROUP].python,
        bind=fleet.server.host.bind or fleet.server.host.address,
        port=port,
        workers=1,
        cores=placement.server,
        database_url="" if database is None else database.url,
    )


def _expected_bodies(plan: Plan) -> dict[str, tuple[str, ...]]:
    """SHA-256 of every right body, computed here from the seed: no server is asked what is right."""
    names = {endpoint.name for endpoint in plan.endpoints if endpoint.rotates_tokens}
    count = len(tokens(plan.seed))
    return {
        name: tuple(hashlib.sha256(expected_body(plan.seed, user)).hexdigest() for user in range(count))
        for name in names
    }


def _verify(stage: Stage, progress: Progress) -> None:
    """Start each server once and compare all their answers before any load."""
    answers = {}
    known = [one for one in stage.plan.endpoints if not one.is_users_own]
    for name, deployment in stage.deployments.items():
        progress.step(f"checking the answers of {name}")
        endpoints = [one for one in known if one.name not in deployment.spec.unsupported_endpoints]
        requests = [(endpoint, _headers(stage, endpoint)) for endpoint in endpoints]
        running = start_server(stage.fleet.server, deployment, requests)
        stop_server(stage.fleet.server)
        answers[name] = running.answers
    check_same_answers(answers, known)


def _headers(stage: Stage, endpoint: Endpoint) -> dict[str, str]:
    return {"Authorization": f"Bearer {stage.tokens[0]}"} if endpoint.rotates_tokens else {}


def _environment(
    stage: Stage, provisioned: Mapping[str, Provisioned], clocks: Mapping[str, tuple[float, float]]
) -> Environment:
    """``clocks`` are offsets and errors by the guards: finer than what the facts' one round trip told."""
    fleet = stage.fleet
    return Environment(
        name=fleet.inventory.name,
        server=fleet.server.host.name,
        loadgen=tuple(one.host.name for one in fleet.loadgen),
        database=database_shown(fleet.inventory),
        hosts=tuple(one.host.without_secrets() for one in fleet.hosts.values()),
        facts={
            name: msgspec.structs.replace(
                one.facts, clock_offset_seconds=clocks[name][0], clock_offset_error_seconds=clocks[name][1]
            )
            for name, one in fleet.hosts.items()
        },
        versions={
            name: {group: one.versions for group, one in found.environments.items()}
            for name, found in provisioned.items()
        },
        controller={
            "host": platform.node(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        placement=_with_database(
            {where: text for load in stage.loads.values() for where, text in load.placement.texts.items()},
            stage.database,
        ),
        database_version="" if stage.database is None else stage.database.version,
    )


def _with_database(placement: dict[str, str], database: Database | None) -> dict[str, str]:
    """What is placed where, with a database that is not ours in its own words."""
    if database is None or database.pid is not None:
        return placement
    return {**placement, "database": f"{database.shown}, not ours: PostgreSQL {database.version}"}
