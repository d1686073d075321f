"""One benchmark from plan to report: prepare the hosts, run the plan, save after every run, judge, render.

The one module that knows every room. Data flows one way:
inventory -> plan -> provision -> deploy -> load -> collect -> result -> judge -> report.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import math
import platform
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.assemble import Measured, Timeline, run_result
from bench.calibration import CALIBRATION_FILE, calibration_path, write_json
from bench.dry_run import WORKDIR, dry_run_lines, known_costs
from bench.errors import (
    AgentError,
    AsgibenchError,
    ConnectionLost,
    DiskFull,
    InvalidMeasurement,
    LoadError,
    ServerStartError,
    UsageError,
)
from bench.fingerprint import unlike_pythons
from bench.hosts import Inventory
from bench.judge.limit import is_spoilt_by_machine
from bench.links import LINKS_FILE, Links
from bench.locustfile import UserLocustfile, source_of
from bench.placement import (
    Placement,
    load_cores,
    load_on_server_cores,
    place,
    place_on_server,
    server_core_count,
)
from bench.plan import Environment, Plan, PlannedRun
from bench.planning import OVERHEAD_GUESS_SECONDS, Prepared, make_plan
from bench.planning import BenchRequest as BenchRequest
from bench.rate import offered_rate, parse_rates
from bench.readiness import Demand
from bench.result import CLIENT_TITLES, Cell, DatabaseCounters, Reason, RunResult, Summary
from bench.spec import ENDPOINTS, Client, Endpoint, LoadPlace, Profile
from bench.store import Store, result_names
from bench.summary import DERIVED_WARNINGS, summarise
from bench.window import Pairs, Window
from inventory.read import read_inventory
from loadgen.cluster import (
    Cluster,
    LoadHost,
    client_file,
    master_command,
    spool_folder,
    start_cluster,
    user_file,
    worker_command,
)
from loadgen.cluster import shipped_files as load_files
from loadgen.live import LiveSeconds
from loadgen.stats import StoppedRun, cut_window, latency_of, open_loop_of, parse_spool, per_second
from remote.ask import terminal
from remote.collect import AgentHost, Agents, agent_files, start_agents
from remote.database import (
    TOOLS_GROUP,
    Database,
    Place,
    app_files,
    read_counters,
    start_database,
    use_database,
)
from remote.deploy import (
    Deployment,
    RunningServer,
    check_same_answers,
    log_tail,
    read_counts,
    start_server,
    stop_server,
)
from remote.deploy import shipped_files as deploy_files
from remote.fleet import Fleet, open_fleet
from remote.guarded import GuardRefusal, new_session
from remote.parallel import on_all, prompt_pool
from remote.provision import Provisioned, check_wheels, provision, read_locks
from remote.readiness import Checked, answer_bytes, check_fleet, check_hosts
from reports.progress import LiveFigures, Progress
from reports.render import write_report
from testapp.data import expected_body, tokens

LOAD_GROUP = "load"
EPOCH_LEAD_SECONDS = 0.1
WATCH_SECONDS = 0.5
CLOCK_ERROR_SECONDS = 0.05
ATTEMPTS = 2
FAILURES_IN_A_ROW = 3
REQUEST_TIMEOUT_SECONDS = 10
HASH_SAMPLE_EVERY = 100


Way = tuple[Client, LoadPlace]


class Load(msgspec.Struct, frozen=True):
    """One way of making the load: where everything runs meanwhile, and the load workers to start."""

    placement: Placement
    hosts: tuple[LoadHost, ...]


class Stage(msgspec.Struct, frozen=True):
    """The hosts made ready: all that a run needs.

    ``cluster`` makes the load in the way ``way``, one of ``loads``; ``placement`` is that of it.
    """

    plan: Plan
    fleet: Fleet
    placement: Placement
    deployments: dict[str, Deployment]
    database: Database | None
    cluster: Cluster
    agents: Agents
    clock_offsets: dict[str, float]
    tokens: tuple[str, ...]
    body_sha256: dict[str, tuple[str, ...]]
    port: int
    loads: dict[Way, Load]
    way: Way
    links: Links | None


class Outcome(msgspec.Struct, frozen=True):
    """How a benchmark ended. ``error`` is what its exit code comes from, or None."""

    directory: Path
    report: Path
    summary: Summary
    runs: tuple[RunResult, ...]
    error: AsgibenchError | None


# ---------------------------------------------------------------- plan


def prepare(request: BenchRequest) -> Prepared:
    """Inventory and plan. Raises UsageError, CatalogueError or InventoryError."""
    inventory = read_inventory(request.hosts, root=request.root)
    return Prepared(inventory, make_plan(request, inventory))


def describe(request: BenchRequest) -> list[str]:
    """For --dry-run, every run, the commands and the time in lines. Touches no host. Raises as prepare."""
    prepared = prepare(request)
    inventory, plan = prepared.inventory, prepared.plan
    return dry_run_lines(
        plan,
        inventory,
        port=request.port,
        load_commands={"Locust's master, on this machine": master_command("*"), **_load_commands(prepared)},
        costs=known_costs(request.results_root, inventory.name),
        now=datetime.now(UTC),
    )


def check_environment(request: BenchRequest, json_file: Path | None) -> tuple[Checked, AsgibenchError | None]:
    """`hosts.check`: the hosts held against the plan that ``request`` makes; what stops it as an error."""
    prepared = prepare(request)
    checked = check_hosts(
        prepared.inventory, demand_of(prepared.plan), port=request.port, results=request.results_root
    )
    if json_file is not None:
        write_json(json_file, checked.as_json)
    return checked, checked.error


def _load_commands(prepared: Prepared) -> dict[str, list[str]]:
    """By what they start, a command for each way of making the load."""
    plan, inventory = prepared.plan, prepared.inventory
    in_all, each_host = plan.profile.load_workers_in_all, plan.profile.load_workers
    count = "one a core" if each_host is None else f"{each_host} each"
    count = count if in_all is None else f"{in_all} in all"
    found = {}
    for client, load_on in dict.fromkeys((run.cell.client, run.cell.load_on) for run in plan.runs):
        hosts = (inventory.server,) if load_on == "server" else inventory.loadgen
        locustfile = client_file(client) if plan.locustfile is None else user_file(plan.locustfile.name)
        named = "" if len(plan.profile.clients) == 1 else f" of {CLIENT_TITLES[client]}"
        where = ", ".join(host.name for host in hosts)
        shared = ", with the server" if load_on == "server" else ""
        found[f"load workers{named}, {count}, on {where}{shared}"] = worker_command(
            f"{WORKDIR}/envs/{LOAD_GROUP}-*/bin", f"{WORKDIR}/ship/*", locustfile, "*"
        )
    return found


# ---------------------------------------------------------------- the whole


def bench(request: BenchRequest, progress: Progress) -> Outcome:
    """Run the plan, or with ``resume`` what is left of it. Results are whole on disk after every run.

    A run that fails is tried again once; the others go on. Raises what stops the whole; what was measured
    until then is saved, judged and rendered all the same, and no process is left on any host.
    """
    prepared = prepare(request)
    store, plan = _open_store(request, prepared.plan)
    done = store.done_run_ids()
    left = [run for run in plan.runs if run.id not in done]
    _announce(progress, plan, prepared.inventory, len(left))
    warnings = _kept_warnings(store)
    error: AsgibenchError | None = None
    if left:
        try:
            with _fleet(request, prepared.inventory, plan, progress) as fleet:
                error = _run_on(fleet, request, plan, left, store, progress, warnings)
        except BaseException:
            if store.done_run_ids():
                _finish(store, plan, warnings)
            elif not request.resume:
                store.discard()
            raise
    return _finish(store, plan, warnings, error)


def _open_store(request: BenchRequest, plan: Plan) -> tuple[Store, Plan]:
    root = request.results_root
    if not request.resume:
        return Store.create(root, plan.name, plan), plan
    store = Store.open(root, request.name or _latest_name(root))
    kept = store.read_plan()
    _check_same_ground(kept, plan)
    return store, _with_same_locustfile(kept, plan.locustfile)


def _check_same_ground(kept: Plan, now: Plan) -> None:
    """One benchmark is of one environment and one set of versions. Raises UsageError."""
    is_same_file = Path(kept.inventory_path).resolve() == Path(now.inventory_path).resolve()
    if not is_same_file or kept.environment != now.environment:
        began = dict(zip(kept.command, kept.command[1:], strict=False)).get("--hosts", kept.environment)
        raise UsageError(
            f"{kept.name} was measured on {kept.environment}, not on {now.environment}",
            remedy=f"go on with --hosts {began}, or begin another benchmark",
        )
    if kept.lock_sha256 != now.lock_sha256:
        raise UsageError(
            f"uv.lock has changed since {kept.name} began", remedy="begin another benchmark: versions differ"
        )


def _with_same_locustfile(plan: Plan, given: UserLocustfile | None) -> Plan:
    """The plan, with its locustfile from where it is given now. Raises UsageError if that is another."""
    if given is not None and (plan.locustfile is None or given.sha256 != plan.locustfile.sha256):
        raise UsageError(
            f"{plan.name} was not planned with this {given.name}",
            remedy="leave --locustfile out to go on with what was planned, or begin another benchmark",
        )
    if plan.locustfile is None:
        return plan
    source_of(given or plan.locustfile)
    return msgspec.structs.replace(plan, locustfile=given or plan.locustfile)


def _latest_name(root: Path) -> str:
    names = result_names(root)
    if not names:
        raise UsageError(f"there is nothing in {root} to go on with", remedy="leave --resume out")
    return max(names, key=lambda name: Store.open(root, name).read_plan().created_at)


@contextlib.contextmanager
def _fleet(request: BenchRequest, inventory: Inventory, plan: Plan, progress: Progress) -> Any:
    progress.step("connecting to " + ", ".join(host.name for host in inventory.hosts))
    fleet = open_fleet(
        inventory,
        new_session(f"benchmark {plan.name}"),
        report=progress.step,
        ask=progress.quiet(terminal()),
    )
    try:
        yield fleet
    finally:
        progress.step("giving the hosts back")
        for host, failure in fleet.release().items():
            progress.warn(
                f"{host} could not be told to stop ({failure}); its guard stops everything by itself"
            )


def _run_on(
    fleet: Fleet,
    request: BenchRequest,
    plan: Plan,
    left: Sequence[PlannedRun],
    store: Store,
    progress: Progress,
    warnings: list[Reason],
) -> AsgibenchError | None:
    stage = _make_stage(fleet, request, plan, store, progress, warnings)
    return _run_plan(stage, left, store, progress, warnings)


def _finish(
    store: Store, plan: Plan, warnings: Sequence[Reason], error: AsgibenchError | None = None
) -> Outcome:
    runs = tuple(store.read_runs())
    store.write_summary(_summary(plan, runs, warnings))
    report = write_report(store)
    return Outcome(store.directory, report, store.read_summary(), runs, error)


def _summary(plan: Plan, runs: Sequence[RunResult], warnings: Sequence[Reason]) -> Summary:
    summary = summarise(plan, runs)
    return msgspec.structs.replace(summary, warnings=(*summary.warnings, *warnings))


def _announce(progress: Progress, plan: Plan, inventory: Inventory, left: int) -> None:
    profile = plan.profile
    seconds = plan.load_seconds / len(plan.runs) * left + OVERHEAD_GUESS_SECONDS * left
    length = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    progress.note(
        "Plan",
        f"{len(plan.servers)} servers x {len(plan.endpoints)} endpoints x {_loads_text(profile)}"
        f"{profile.blocks} block(s) = "
        f"{len(plan.runs)} runs, {left} to do, about {length}; profile {profile.name}, seed {plan.seed}",
    )
    shown = _database_shown(inventory)
    progress.note(
        "Hosts",
        f"server: {inventory.server.name}   load: {', '.join(host.name for host in inventory.loadgen)}   "
        f"database: {'on the server' if shown == inventory.server.name else shown}",
    )
    for one in plan.skipped:
        progress.note("Skip", f"{one.cell.server} {one.cell.endpoint}: {one.reason}")


def _database_shown(inventory: Inventory) -> str:
    existing = inventory.existing_database
    return (inventory.database or inventory.server).name if existing is None else existing.shown


def _loads_text(profile: Profile) -> str:
    rates = len(parse_rates(profile.rates))
    ways = len(profile.clients) * len(profile.load_on)
    made = f"{ways} ways to make the load x " if ways > 1 else ""
    return made + (f"(closed loop + {rates} rate(s)) x " if rates else "")


# ---------------------------------------------------------------- provision, deploy


def _make_stage(
    fleet: Fleet,
    request: BenchRequest,
    plan: Plan,
    store: Store,
    progress: Progress,
    warnings: list[Reason],
) -> Stage:
    links = _check_ready(fleet, request, plan, progress, warnings)
    provisioned = _provision(fleet, request.root, plan, progress)
    facts = {name: one.facts for name, one in fleet.hosts.items()}
    placement = place(
        fleet.inventory,
        facts,
        workers_per_host=plan.profile.load_workers,
        workers_in_all=plan.profile.load_workers_in_all,
    )
    loads = _loads(fleet, plan, provisioned, placement)
    way = next(iter(loads))
    _warn_of_hosts(fleet, placement, progress, warnings)
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
        _all(database, agents, cluster, offsets)
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


def _all(*futures: Future[Any]) -> None:
    """Wait for every one, then raise the first failure: none is left half-started unseen."""
    wait(futures)
    errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error


def demand_of(plan: Plan) -> Demand:
    """What the plan asks of the hosts before its first run."""
    profile = plan.profile
    return Demand(
        connections=profile.connections,
        backlog=max(spec.settings.backlog for spec in plan.servers),
        response_bytes=answer_bytes(plan.endpoints, plan.seed),
        rates=tuple(rate.per_second for rate in parse_rates(profile.rates) if rate.per_second is not None),
    )


def _check_ready(
    fleet: Fleet, request: BenchRequest, plan: Plan, progress: Progress, warnings: list[Reason]
) -> Links | None:
    """What binds the plan stops it here; what only limits is said. What the links carry, if there are any."""
    progress.step("checking what the hosts can carry")
    findings, links = check_fleet(fleet, demand_of(plan), port=request.port, results=request.results_root)
    for one in findings:
        # Frequency scaling is said by _warn_of_hosts; other programs' share is judged in every run.
        if one.state == "limits" and one.what not in ("frequency", "cores"):
            progress.note("Limit", f"{one.host}: {one.what}: {one.text}")
            if one.what != "link":
                code = f"host_{one.what.replace(' ', '_')}"
                warnings.append(Reason(code, f"{one.host}: {one.text}", one.remedy))
    return links


def _provision(fleet: Fleet, root: Path, plan: Plan, progress: Progress) -> dict[str, Provisioned]:
    inventory = fleet.inventory
    servers = [spec.environment_group for spec in plan.servers]
    roles = {inventory.server.name: [TOOLS_GROUP, *dict.fromkeys(servers)]}
    if inventory.database is not None:
        roles.setdefault(inventory.database.name, []).append(TOOLS_GROUP)
    for host in inventory.loadgen:
        roles.setdefault(host.name, []).append(LOAD_GROUP)
    if "server" in plan.profile.load_on:
        roles[inventory.server.name].append(LOAD_GROUP)
    files = {**agent_files(), **deploy_files(), **load_files(), **app_files()}
    if plan.locustfile is not None:
        files[user_file(plan.locustfile.name)] = source_of(plan.locustfile)

    # Every host is asked before any is sent something.
    locks = read_locks((group for groups in roles.values() for group in groups), root)
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
                script=f"{one.shipped}/agent.py",
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


def _with_load_of(stage: Stage, cell: Cell, progress: Progress) -> Stage:
    """The stage with the load workers that make this cell's load. Raises LoadError."""
    way = (cell.client, cell.load_on)
    if way == stage.way:
        return stage
    progress.step("starting other load workers")
    load = stage.loads[way]
    cluster = stage.cluster.restart(load.hosts)
    return msgspec.structs.replace(stage, cluster=cluster, placement=load.placement, way=way)


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
    environment = one.environments[spec.environment_group]
    return Deployment(
        spec=spec,
        version=environment.versions[spec.package],
        program_directory=f"{environment.directory}/bin",
        app_directory=str(one.shipped),
        answers_script=f"{one.shipped}/answers.py",
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


def _warn_of_hosts(fleet: Fleet, placement: Placement, progress: Progress, warnings: list[Reason]) -> None:
    found = []
    if placement.shared:
        found.append(
            Reason(
                "shared_host",
                f"the load runs on the server's own host, {fleet.server.host.name}; each has its own cores "
                "where the system can pin",
                remedy="put the load on hosts of its own",
            )
        )
    if fleet.inventory.existing_database is not None:
        shown = fleet.inventory.existing_database.shown
        found.append(
            Reason(
                "database_not_sampled",
                f"the database {shown} is not ours: its memory and CPU are not sampled, and whether it "
                "held a run back is not known",
                remedy="see its own monitoring",
            )
        )
    for name, one in fleet.hosts.items():
        scaling = one.facts.cpu_frequency_scaling
        if scaling not in (None, "performance"):
            found.append(
                Reason("frequency_scaling", f"{name}: CPU frequency scaling is {scaling} (recorded)")
            )
    unlike = unlike_pythons({one.host.name: one.facts for one in fleet.loadgen})
    if unlike:
        told = "; ".join(f"{python} on {', '.join(names)}" for python, names in unlike.items())
        found.append(
            Reason(
                "unlike_pythons",
                f"the load hosts have unlike Pythons, so that their workers are not equally fast: {told}",
                remedy="Name the same Python in asgibench_python of every load host",
            )
        )
    for reason in found:
        progress.warn(reason.text)
    warnings.extend(found)


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
        database=_database_shown(fleet.inventory),
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


# ---------------------------------------------------------------- the runs


def _run_plan(
    stage: Stage,
    left: Sequence[PlannedRun],
    store: Store,
    progress: Progress,
    warnings: list[Reason],
) -> AsgibenchError | None:
    """Every run that is left; the first error of a run that failed for good, or None."""
    per_run = stage.plan.load_seconds / len(stage.plan.runs) + OVERHEAD_GUESS_SECONDS
    progress.begin_runs(len(stage.plan.runs) - len(left), len(stage.plan.runs), per_run * len(left))
    first_error: AsgibenchError | None = None
    in_a_row = 0
    measured = list(store.read_runs())
    for index, run in enumerate(left):
        rate = offered_rate(run.cell, measured)
        if rate is None and run.cell.is_open_loop:
            _skip_unknown_rate(run, progress, warnings)
            continue
        progress.begin_run(run, stage.plan.profile.blocks, rate)
        try:
            result, stage = _run_with_retry(stage, run, rate, store, progress, warnings)
        except AsgibenchError as error:
            in_a_row += 1
            first_error = first_error or error
            warnings.append(Reason("run_failed", f"{run.id} failed: {error.message}", remedy=error.remedy))
            progress.warn(f"{run.id}: {error}")
            if in_a_row >= FAILURES_IN_A_ROW or isinstance(error, ConnectionLost | DiskFull):
                raise
            continue
        in_a_row = 0
        measured.append(result)
        store.write_summary(_summary(stage.plan, measured, warnings))
        progress.end_run(result)
        progress.expect((len(left) - index - 1) * per_run)
    return first_error


def _skip_unknown_rate(run: PlannedRun, progress: Progress, warnings: list[Reason]) -> None:
    """A share of a maximum that no valid run has shown yet; --resume tries it again."""
    text = f"{run.id} was skipped: no valid closed-loop run shows the maximum that its rate is a share of"
    remedy = "See why the closed-loop run is void, or state a rate in requests a second"
    warnings.append(Reason("rate_unknown", text, remedy))
    progress.warn(text)


def _run_with_retry(
    stage: Stage,
    run: PlannedRun,
    rate: float | None,
    store: Store,
    progress: Progress,
    repeated: list[Reason],
) -> tuple[RunResult, Stage]:
    """The run's result, and the stage to go on with: what was lost in between has been made anew.

    ``repeated`` is given why, where a first try failed.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            stage = _with_load_of(stage, run.cell, progress)
            result, files = _measure(stage, run, rate, attempt, progress)
            if attempt < ATTEMPTS and is_spoilt_by_machine(result.reasons):
                why = next(reason.text for reason in result.reasons if reason.invalidates)
                progress.warn(f"{run.id}: {why}; measuring it once more")
                continue
            store.write_run(result, files)
            return result, stage
        except (LoadError, ServerStartError, ConnectionLost, AgentError) as error:
            if attempt == ATTEMPTS:
                raise
            progress.warn(f"{run.id}: {error.message}; trying it once more")
            repeated.append(Reason("run_repeated", f"{run.id} was run again: {error.message}", error.remedy))
            stage = _mended(stage, error, f"{run.id}-{attempt}", progress)
    raise AssertionError("unreachable")


def _mended(stage: Stage, error: AsgibenchError, label: str, progress: Progress) -> Stage:
    """The stage after a failed try: connections, agents and load workers as at first."""
    if isinstance(error, ServerStartError):
        return stage
    for host in stage.fleet.reconnect():
        progress.warn(f"{host}: connected again")
    with contextlib.suppress(AsgibenchError):
        # It couldn't be told while its connection was gone, and would refuse the next run.
        stage.agents.end(label, _sampled(stage))
    with contextlib.suppress(GuardRefusal):
        stop_server(stage.fleet.server)
    return msgspec.structs.replace(stage, cluster=stage.cluster.restart())


def _measure(
    stage: Stage, run: PlannedRun, rate: float | None, attempt: int, progress: Progress
) -> tuple[RunResult, dict[str, bytes]]:
    """One cell once: start, rest, load, rest, stop, collect. The result, and the files that belong to it.

    ``rate`` is what to offer in open loop, in requests a second; None: closed loop.
    """
    profile = stage.plan.profile
    endpoint = next(one for one in stage.plan.endpoints if one.name == run.cell.endpoint)
    deployment = msgspec.structs.replace(
        stage.deployments[run.cell.server], workers=run.cell.workers, cores=stage.placement.server
    )
    guarded = stage.fleet.server
    label = f"{run.id}-{attempt}"
    began = time.time()
    progress.phase("starting", 0, 0, LiveFigures())
    try:
        server, before = _start(stage, deployment, endpoint)
        ready = time.time()
        run_seconds = profile.warmup_seconds + profile.window_seconds
        stage.agents.begin(
            label,
            _targets(stage, server),
            max_seconds=run_seconds + profile.idle_rest_seconds + profile.after_rest_seconds + 60,
        )
        time.sleep(profile.idle_rest_seconds)
        load_began = time.time()
        stopped, epoch, load_stopped, load_collected = _load(stage, run, rate, label, endpoint, progress)
        time.sleep(profile.after_rest_seconds)
        rested = time.time()
    except BaseException:
        _abandon(stage, label)
        raise
    home = _bring_home(stage, label, deployment, endpoint)
    window = cut_window(
        stopped.slices,
        stage.cluster.worker_hosts,
        warmup_seconds=profile.warmup_seconds,
        window_seconds=profile.window_seconds,
    )
    stopped_at = time.time()
    result = run_result(
        Measured(
            run=run,
            attempt=attempt,
            spec=deployment.spec,
            endpoint=endpoint,
            server_version=deployment.version,
            server_command=server.command,
            server_pids=server.worker_pids,
            server_configuration=server.configuration,
            server_cores=server_core_count(stage.placement, guarded.facts, run.cell.workers),
            host_cores=stage.placement.server or guarded.facts.cores_usable,
            database_cores=len(stage.placement.database or stage.fleet.database.facts.cores_usable),
            agent_on_server_cores=run.cell.load_on == "server"
            or not stage.placement.shared
            or stage.placement.server is None,
            load_cores=load_cores(
                stage.placement, {name: one.facts for name, one in stage.fleet.hosts.items()}
            ),
            load_on_server_cores=load_on_server_cores(stage.placement, guarded.host.name),
            window=window,
            latency=latency_of(window.histogram),
            seconds=lambda rss: per_second(
                stopped.slices,
                rss,
                warmup_seconds=profile.warmup_seconds,
                window_seconds=profile.window_seconds,
            ),
            engine_requests=sum(one.answered for one in stopped.totals.values()),
            in_flight=sum(one.in_flight_at_stop for one in stopped.totals.values()),
            locust_requests=stopped.locust.requests,
            spool_requests=home.spool_requests,
            server_requests=_server_requests(endpoint, home, stopped),
            counters_before=before,
            counters_after=home.counters,
            samples=home.samples,
            server_host=guarded.host.name,
            database_host=_database_host(stage),
            clock_offsets=stage.clock_offsets,
            timeline=Timeline(
                began=began,
                ready=ready,
                load_began=load_began,
                epoch=epoch,
                load_stopped=load_stopped,
                load_collected=load_collected,
                rested=rested,
                stopped=stopped_at,
                profile=profile,
            ),
            open_loop=None if rate is None else open_loop_of(window, rate),
            links=stage.links,
        )
    )
    return result, {
        "histogram.json": msgspec.json.encode(_histograms(window, rate)),
        "server.log": home.log_tail.encode(),
        # No time of its own in the header: the same samples are the same bytes.
        **{f"samples-{host}.jsonl.gz": gzip.compress(data, mtime=0) for host, data in home.samples.items()},
    }


def _histograms(window: Window, rate: float | None) -> dict[str, Pairs]:
    found = {"good": window.histogram, "failed": window.failure_histogram}
    if rate is not None:
        found |= {"service": window.service_histogram, "send_lag": window.send_lag}
    return found


def _start(
    stage: Stage, deployment: Deployment, endpoint: Endpoint
) -> tuple[RunningServer, DatabaseCounters | None]:
    """The server, ready, and the database's counts from before it."""
    with prompt_pool(2) as pool:
        # The server's own first transactions, a few, may fall on either side of this reading.
        counters = pool.submit(_counters, stage, endpoint)
        server = pool.submit(start_server, stage.fleet.server, deployment, [])
        _all(server, counters)
    return server.result(), counters.result()


def _abandon(stage: Stage, label: str) -> None:
    """After a failure: no agent samples on and no server of this run stays; the failure itself is told."""
    with contextlib.suppress(AsgibenchError):
        stage.agents.end(label, _sampled(stage))
    with contextlib.suppress(AsgibenchError):
        stop_server(stage.fleet.server)


def _counters(stage: Stage, endpoint: Endpoint) -> DatabaseCounters | None:
    if stage.database is None or not endpoint.uses_database:
        return None
    return read_counters(stage.database)


class Home(msgspec.Struct, frozen=True):
    """What a run left on the hosts, brought home."""

    samples: dict[str, bytes]
    spool_requests: int
    server_counts: dict[str, int]
    counters: DatabaseCounters | None
    log_tail: str


def _bring_home(stage: Stage, label: str, deployment: Deployment, endpoint: Endpoint) -> Home:
    """Stop the server and fetch everything, side by side: it is all overhead."""
    guarded = stage.fleet.server

    def stop_and_count() -> tuple[dict[str, int], DatabaseCounters | None, str]:
        stop_server(guarded)
        # The database's own counts are exact once its clients have gone.
        counters = _counters(stage, endpoint)
        return read_counts(guarded, deployment), counters, log_tail(guarded)

    with prompt_pool(3) as pool:
        server = pool.submit(stop_and_count)
        samples = pool.submit(stage.agents.end, label, _sampled(stage))
        spools = pool.submit(_read_spools, stage, label)
        _all(server, samples, spools)
    counts, counters, tail = server.result()
    return Home(samples.result(), spools.result(), counts, counters, tail)


def _server_requests(endpoint: Endpoint, home: Home, stopped: StoppedRun) -> int | None:
    """The server's own count of the same requests. A user's own file may ask for what nobody counts: None."""
    if not endpoint.is_users_own:
        return home.server_counts.get(endpoint.name)
    if any(one.elsewhere for one in stopped.totals.values()):
        return None
    return sum(home.server_counts.values())


def _with_database(placement: dict[str, str], database: Database | None) -> dict[str, str]:
    """What is placed where, with a database that is not ours in its own words."""
    if database is None or database.pid is not None:
        return placement
    return {**placement, "database": f"{database.shown}, not ours: PostgreSQL {database.version}"}


def _database_host(stage: Stage) -> str:
    """Where its agent is; "" for a database that is not ours."""
    return "" if stage.fleet.inventory.existing_database else stage.fleet.database.host.name


def _targets(stage: Stage, server: RunningServer) -> dict[str, dict[str, int]]:
    targets: dict[str, dict[str, int]] = {name: {} for name in stage.fleet.hosts}
    targets[stage.fleet.server.host.name]["server"] = server.pid
    if stage.database is not None and stage.database.pid is not None:
        targets[stage.fleet.database.host.name]["database"] = stage.database.pid
    for host, pids in stage.cluster.worker_pids().items():
        targets[host].update(pids)
    return targets


def _sampled(stage: Stage) -> tuple[str, ...]:
    """The hosts that something of a run is on."""
    database = () if stage.database is None else (stage.fleet.database.host.name,)
    load = (host.guarded.host.name for host in stage.cluster.hosts)
    return tuple(dict.fromkeys((stage.fleet.server.host.name, *database, *load)))


def _load(
    stage: Stage,
    run: PlannedRun,
    rate: float | None,
    label: str,
    endpoint: Endpoint,
    progress: Progress,
) -> tuple[StoppedRun, float, float, float]:
    """(the load's data, its epoch, when it was told to stop, when all was collected), on our clock."""
    profile = stage.plan.profile
    live = LiveSeconds(len(stage.cluster.worker_hosts))
    epoch = time.time() + EPOCH_LEAD_SECONDS
    end = epoch + profile.warmup_seconds + profile.window_seconds
    spec = _load_spec(stage, run, rate, endpoint, epoch)
    try:
        stage.cluster.start_run(label, spec, run.cell.connections, live.take)
        _check_ramp(time.time() - epoch, profile)
        while (now := time.time()) < end:
            stage.cluster.check_running()
            _check_server(stage, run)
            _show(stage, live, now - epoch, progress)
            time.sleep(min(WATCH_SECONDS, max(0.0, end - time.time())))
        load_stopped = time.time()
        stopped = stage.cluster.stop_run()
    except BaseException:
        with contextlib.suppress(AsgibenchError):
            stage.cluster.abort_run()
        raise
    return stopped, epoch, load_stopped, time.time()


def _check_ramp(took_seconds: float, profile: Profile) -> None:
    """All connections are there before the window begins, or the run says nothing. Raises LoadError."""
    if took_seconds > profile.warmup_seconds:
        raise LoadError(
            f"the load took {took_seconds:.1f} s to start, longer than the warm-up",
            remedy="see what keeps the load hosts busy, or use a profile with a longer warm-up",
        )


def _load_spec(
    stage: Stage, run: PlannedRun, rate: float | None, endpoint: Endpoint, epoch: float
) -> dict[str, Any]:
    host = stage.fleet.server.host
    rotate = None
    if endpoint.rotates_tokens or endpoint.is_users_own:
        rotate = {"header": "Authorization", "prefix": "Bearer ", "values": stage.tokens}
    return {
        "host": host.address,
        "port": stage.port,
        "tls": False,
        "tls_ca_file": None,
        "server_name": None,
        "method": "GET",
        "path": endpoint.path,
        "counted_paths": [one.path for one in ENDPOINTS],
        "headers": {"User-Agent": "asgibench", "Accept": "*/*"},
        "body": "",
        "rotate": rotate,
        "keep_alive": True,
        "expect": {
            "status": 200,
            "length": endpoint.length_bytes,
            "body_sha256": stage.body_sha256.get(endpoint.name, ()),
        },
        "hash_sample_every": HASH_SAMPLE_EVERY,
        "timeout_seconds": REQUEST_TIMEOUT_SECONDS,
        "epoch": epoch,
        "clock_offsets": {
            worker: stage.clock_offsets[name] for worker, name in stage.cluster.worker_hosts.items()
        },
        "mode": "closed" if rate is None else "open",
        "rate_per_second": rate,
        "arrivals": stage.plan.profile.arrivals,
        "seed": stage.plan.seed + run.position,
        "max_backlog": 0 if rate is None else _max_backlog(rate, len(stage.cluster.worker_hosts)),
    }


def _max_backlog(rate_per_second: float, workers: int) -> int:
    """Of one worker. What has waited as long as an answer may take is given up."""
    return math.ceil(rate_per_second * REQUEST_TIMEOUT_SECONDS / workers)


def _check_server(stage: Stage, run: PlannedRun) -> None:
    status = stage.fleet.server.exit_status("server")
    if status is not None:
        raise ServerStartError(
            f"{run.cell.server} ended in mid-run with status {status}",
            remedy="the end of its log follows",
            detail=log_tail(stage.fleet.server),
        )


def _show(stage: Stage, live: LiveSeconds, since_epoch: float, progress: Progress) -> None:
    profile = stage.plan.profile
    if since_epoch < profile.warmup_seconds:
        name, second, length = "warm-up", max(0.0, since_epoch), profile.warmup_seconds
    else:
        name, second, length = "window", since_epoch - profile.warmup_seconds, profile.window_seconds
    latest = live.latest()
    figures = LiveFigures()
    # Each look crosses to the measured host: only for eyes that see it.
    if latest is not None and progress.is_live:
        sums = stage.agents.peek(stage.fleet.server.host.name)["targets"].get("server") or {}
        figures = LiveFigures(
            requests_per_second=latest.requests,
            p99_seconds=latest.p99_seconds,
            failures=live.failures,
            rss_bytes=sums.get("rss_bytes"),
            server_core_share=sums.get("core_share"),
            load_core_share=latest.core_share,
        )
    progress.phase(name, second, length, figures)


def _read_spools(stage: Stage, label: str) -> int:
    """Requests by the load workers' own files; the files are removed."""

    def read_one(host: LoadHost) -> int:
        found = 0
        for index in range(len(host.worker_names)):
            path = f"{spool_folder(index)}/{label}.jsonl"
            try:
                found += parse_spool(host.guarded.read(path)).answered
            except (KeyError, msgspec.MsgspecError) as error:
                raise LoadError(
                    f"{host.guarded.host.name}: the load worker's file {path} is cut short",
                    remedy="see that its disk isn't full",
                ) from error
            host.guarded.remove(path)
        return found

    return sum(on_all(read_one, stage.cluster.hosts, lambda host: host.guarded.host.name).values())


# ---------------------------------------------------------------- judge, report


def verdict_error(outcome: Outcome) -> AsgibenchError | None:
    """InvalidMeasurement where some cell has no valid run, else None."""
    invalid = [cell for cell in outcome.summary.cells if not cell.valid]
    if not invalid:
        return None
    named = ", ".join(cell.cell.title for cell in invalid)
    why = next((reason for cell in invalid for reason in cell.reasons if reason.invalidates), None)
    return InvalidMeasurement(
        f"no valid run of {named}" + (f": {why.text}" if why else ""),
        remedy=(why.remedy if why else "") or "the report says why, cell by cell",
    )


def render_again(results_root: Path, name: str) -> Path:
    """Judge and render from the files alone; ``name`` may be a path. Raises ResultError."""
    given = Path(name)
    store = Store.open(given.parent, given.name) if given.is_dir() else Store.open(results_root, name)
    return _finish(store, store.read_plan(), _kept_warnings(store)).report


def _kept_warnings(store: Store) -> list[Reason]:
    """What earlier sessions had to say of this benchmark."""
    if not (store.directory / "summary.json").is_file():
        return []
    return [one for one in store.read_summary().warnings if one.code not in DERIVED_WARNINGS]
