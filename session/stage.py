"""The hosts made ready: checked, provisioned, every party started, every server's answers compared."""

from __future__ import annotations

import platform
from collections.abc import Mapping

import msgspec

from bench.environment.calibration import CALIBRATION_FILE, calibration_path
from bench.environment.clocks import ClockReading
from bench.environment.links import LINKS_FILE, Links
from bench.judge.hosts import clock_reasons, finding_reasons, host_reasons, limiting
from bench.judge.reason import Reason
from bench.plan.placement import Placement, place
from bench.plan.plan import Environment, Plan
from bench.plan.request import BenchRequest
from bench.proofs.kept import keep_with
from bench.results.store import Store
from loadgen.traffic import Traffic, traffic_of
from remote.certificate import Certificate, make_certificate
from remote.check import check_fleet
from remote.fleet import Fleet
from remote.parallel import on_all, prompt_pool, wait_for_all
from remote.provision.provision import Provisioned
from remote.server import check_answers
from reports.terminal.progress import Progress
from session.announce import announce_limits, database_shown
from session.locks import kept_locks
from session.parties import Parties
from session.parties.agents import AgentParty
from session.parties.database import DatabaseParty
from session.parties.load import LoadParty, LoadSetup, Way, load_setups
from session.parties.server import ServerParty
from session.prepare import demand_of
from session.prove.licences import licences_of_plan
from session.provisioning import provision_hosts

Clocks = dict[str, ClockReading]
"""By host, by the guards."""


class Stage(msgspec.Struct, frozen=True):
    """The hosts, ready for the first run."""

    fleet: Fleet
    parties: Parties
    traffic: dict[str, Traffic]  # by endpoint
    links: Links | None  # None: what the links carry is not known
    # What a reader must know of the hosts.
    reasons: tuple[Reason, ...]


def make_stage(fleet: Fleet, request: BenchRequest, plan: Plan, store: Store, progress: Progress) -> Stage:
    """Make the hosts ready, and keep with the results what they are.

    Raises HostsNotReady for what stops the plan, and what provisioning and starting raise.
    """
    progress.step("checking what the hosts can carry")
    findings, links = check_fleet(fleet, demand_of(plan), port=request.port, results=request.results_root)
    limits = limiting(findings)
    announce_limits(progress, findings)

    provisioned = provision_hosts(fleet, plan, kept_locks(store, plan), request.root, progress)
    facts = {name: one.facts for name, one in fleet.hosts.items()}
    placement = place(
        fleet.inventory,
        facts,
        workers_per_host=plan.profile.load_workers,
        workers_in_all=plan.profile.load_workers_in_all,
    )
    setups = load_setups(fleet, plan, provisioned, placement)
    clocks = on_all(lambda one: one.read_clocks(), fleet.guarded, lambda one: one.host.name)
    of_hosts = (*host_reasons(fleet.inventory, facts, placement), *clock_reasons(_clock_error(clocks)))
    for reason in of_hosts:
        progress.warn(reason.text)

    progress.step("starting database, agents and load workers")
    parties = _start_parties(fleet, request, plan, provisioned, placement, setups)
    keep_with(store, licences_of_plan(plan, fleet.server, provisioned[fleet.server.host.name]))
    if links is not None:
        store.write_file(LINKS_FILE, msgspec.json.encode(links))
    store.write_environment(_environment(fleet, provisioned, clocks, setups, parties.database))
    ceilings = calibration_path(request.results_root, fleet.inventory.name)
    if ceilings.exists():
        store.write_file(CALIBRATION_FILE, ceilings.read_bytes())

    traffic = {one.name: traffic_of(one, plan.seed) for one in plan.endpoints}
    _check_servers(parties.server, plan, traffic, progress)
    equal = "every server starts" if plan.locustfile else "answers equal"
    equal = f"{equal}, settings proven"
    progress.note("Check", f"host keys ok, clocks ok ({_clock_error(clocks) * 1000:.1f} ms), {equal}")
    return Stage(fleet, parties, traffic, links, (*finding_reasons(limits), *of_hosts))


def _clock_error(clocks: Clocks) -> float:
    return max(one.error for one in clocks.values())


def _start_parties(
    fleet: Fleet,
    request: BenchRequest,
    plan: Plan,
    provisioned: Mapping[str, Provisioned],
    placement: Placement,
    setups: Mapping[Way, LoadSetup],
) -> Parties:
    """All but the servers at once; these need to know where the database is."""
    with prompt_pool(3) as pool:
        database = pool.submit(
            DatabaseParty.start,
            fleet,
            plan.endpoints,
            provisioned,
            cores=placement.database,
            seed=plan.seed,
        )
        agents = pool.submit(AgentParty.start, fleet, provisioned, placement)
        load = pool.submit(LoadParty.start, fleet.controller, setups, master_cores=placement.controller)
        wait_for_all(database=database, agents=agents, load=load)
    behind = [run.cell for run in plan.runs if run.cell.balancer]
    server = ServerParty.start(
        fleet.server,
        plan.servers,
        provisioned[fleet.server.host.name],
        port=request.port,
        cores=placement.server,
        database_url=database.result().url,
        certificate=_certificate(fleet, plan),
        connections=plan.profile.connections,
        most_processes=max((cell.workers for cell in behind), default=0),
    )
    return Parties(server, database.result(), agents.result(), load.result())


def _certificate(fleet: Fleet, plan: Plan) -> Certificate | None:
    """One for the whole benchmark, where anything is reached with TLS."""
    host = fleet.server.host
    if not any(run.cell.tls for run in plan.runs):
        return None
    return make_certificate([name for name in (host.address, host.bind) if name])


def _check_servers(
    server: ServerParty, plan: Plan, traffic: Mapping[str, Traffic], progress: Progress
) -> None:
    """Start each server once with each number of workers, and check settings and answers before any load.

    Raises SettingsContradicted and AnswersDiffer.
    """
    known = [request for one in traffic.values() if (request := one.first_request()) is not None]
    for name in server.deployments:
        cells = [run.cell for run in plan.runs if run.cell.server == name]
        for workers, served in sorted({(cell.workers, cell.served) for cell in cells}):
            progress.step(f"checking the settings and answers of {name} {served.words}".rstrip())
            check_answers({name: server.take_answers(name, workers, known, served)}, known)


def _environment(
    fleet: Fleet,
    provisioned: Mapping[str, Provisioned],
    clocks: Clocks,
    setups: Mapping[Way, LoadSetup],
    database: DatabaseParty,
) -> Environment:
    """With the clocks by the guards: they are finer than what the facts' one round trip shows."""
    placed = {where: text for setup in setups.values() for where, text in setup.placement.texts.items()}
    return Environment(
        name=fleet.inventory.name,
        server=fleet.server.host.name,
        loadgen=tuple(one.host.name for one in fleet.loadgen),
        database=database_shown(fleet.inventory),
        hosts=tuple(one.host.without_secrets() for one in fleet.hosts.values()),
        facts={
            name: one.facts.with_clock(clocks[name].wall_offset, clocks[name].error)
            for name, one in fleet.hosts.items()
        },
        versions={name: found.packages for name, found in provisioned.items()},
        controller={
            "host": platform.node(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        placement={**placed, **database.placement_text()},
        database_version=database.version,
    )
