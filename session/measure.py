"""One run, from the start of its server to its result.

``measure_run`` is the story: begin, rest, drive the load, rest, stop and collect, assemble. In the two rests
the server's memory is sampled, before any load and after it, and the machine's own speed is read.
"""

from __future__ import annotations

import contextlib
import gzip
import time
from collections.abc import Iterator

import msgspec

from bench.environment.clocks import ClockReading
from bench.environment.links import Links
from bench.plan.placement import (
    load_cores,
    load_on_server_cores,
    may_share,
    same_cores,
    server_core_count,
)
from bench.plan.plan import Plan
from bench.results.assemble import SERVER, run_result
from bench.results.cell import Cell
from bench.results.clocks import ClockEvidence
from bench.results.evidence import (
    AgentEvidence,
    CoresGiven,
    DatabaseEvidence,
    LoadEvidence,
    Planned,
    RunEvidence,
    Timeline,
)
from bench.results.figures import DatabaseCounters
from bench.results.speed import SpeedEvidence
from bench.spec import Endpoint
from bench.wire.slices import Pairs
from loadgen.traffic import Traffic
from remote.parallel import prompt_pool, wait_for_all
from reports.terminal.progress import Progress
from session.attempt import Attempt, MeasuredRun
from session.drive import Driven, drive_load
from session.parties import Parties
from session.parties.agents import FurtherTargets, Targets
from session.parties.server import BegunServer, StoppedServer
from session.rest import GaugedCores, gauged_cores, rest


def measure_run(
    attempt: Attempt,
    plan: Plan,
    traffic: Traffic,
    parties: Parties,
    links: Links | None,
    progress: Progress,
) -> MeasuredRun:
    """Measure one cell once. ``links`` is None where what they carry is not known.

    Raises what starting and driving raise; then nothing of the run is left running on any host that can be
    reached.
    """
    profile = plan.profile
    progress.begin_attempt()
    with _abandoned_on_failure(parties):
        began = time.monotonic()
        leads = [_wall_lead()]
        begun = _begin(attempt.run.cell, traffic.endpoint, parties)
        ready = time.monotonic()
        parties.agents.begin(attempt.label, begun.targets, plan.run_seconds, begun.also)
        cores = _cores_to_gauge(parties)
        before = rest(profile.idle_rest_seconds, parties.agents, cores)
        leads.append(_wall_lead())
        load_began = time.monotonic()
        load = drive_load(attempt, plan, traffic, begun.server, parties, begun.offsets, progress)
        after = rest(profile.after_rest_seconds, parties.agents, cores)
        rested = time.monotonic()
        leads.append(_wall_lead())
        home = _collect(attempt, traffic, parties, begun, load)
        leads.append(_wall_lead())
        stopped = time.monotonic()
    timeline = Timeline(
        started_at=began + leads[0],
        began=began,
        ready=ready,
        load_began=load_began,
        epoch=load.epoch,
        load_stopped=load.stopped,
        load_collected=load.collected,
        rested=rested,
        stopped=stopped,
        profile=load.profile,
        held=load.held,
    )
    evidence = RunEvidence(
        planned=Planned(attempt.run, attempt.number, begun.server.deployment.spec, traffic.endpoint),
        cores=_cores_given(attempt.run.cell, begun.server, parties),
        server=home.server.evidence,
        load=home.load,
        database=home.database,
        agents=home.agents,
        timeline=timeline,
        clocks=ClockEvidence(begun.clocks, home.clocks, tuple(leads)),
        links=links,
        speed=SpeedEvidence(before, after, attempt.usual_seconds),
    )
    return MeasuredRun(run_result(evidence), _files(home))


def _wall_lead() -> float:
    """Our time of day minus our monotonic clock: it changes only where somebody sets the time of day."""
    return time.time() - time.monotonic()


@contextlib.contextmanager
def _abandoned_on_failure(parties: Parties) -> Iterator[None]:
    """After any failure, Ctrl-C too: no agent samples on and no server of this run stays."""
    try:
        yield
    except BaseException:
        parties.agents.abandon()
        parties.server.abandon()
        raise


class BegunRun(msgspec.Struct, frozen=True):
    """A run's server, ready for requests, and the database's counts from before it."""

    server: BegunServer
    counters: DatabaseCounters | None
    targets: Targets  # the process trees of the run
    also: FurtherTargets  # of a server that is several trees
    clocks: dict[str, ClockReading]  # by host

    @property
    def offsets(self) -> dict[str, float]:
        """{host: its monotonic clock minus ours} in seconds."""
        return {host: one.monotonic_offset for host, one in self.clocks.items()}


def _begin(cell: Cell, endpoint: Endpoint, parties: Parties) -> BegunRun:
    """Start the cell's server, and read the database's counts and every host's clocks beside it."""
    with prompt_pool(3) as pool:
        # The server's own first transactions, a few, may fall on either side of this reading.
        counters = pool.submit(parties.database.begin, endpoint)
        server = pool.submit(parties.server.begin, cell, parties.load.placement.server)
        clocks = pool.submit(parties.agents.read_clocks)
        wait_for_all(server=server, database=counters, clocks=clocks)
    host = parties.server.host.host.name
    targets: Targets = {host: server.result().targets}
    for more in (parties.database.targets(), parties.load.targets()):
        for host, pids in more.items():
            targets[host] = {**targets.get(host, {}), **pids}
    also = {parties.server.host.host.name: {SERVER: server.result().further_pids}}
    return BegunRun(server.result(), counters.result(), targets, also, clocks.result())


class Home(msgspec.Struct, frozen=True):
    """What the parties brought home."""

    server: StoppedServer
    load: LoadEvidence
    database: DatabaseEvidence
    agents: AgentEvidence
    clocks: dict[str, ClockReading]  # by host, after the load


def _collect(
    attempt: Attempt,
    traffic: Traffic,
    parties: Parties,
    begun: BegunRun,
    driven: Driven,
) -> Home:
    """Stop the server and fetch everything side by side: it is all overhead."""

    def stop_server() -> tuple[DatabaseEvidence, StoppedServer]:
        parties.server.stop(begun.server)
        # The database's own counts are exact once its clients have gone.
        database = parties.database.collect(traffic.endpoint, begun.counters)
        elsewhere = sum(one.elsewhere for one in driven.data.totals.values())
        return database, parties.server.collect(begun.server, traffic, elsewhere)

    with prompt_pool(4) as pool:
        clocks = pool.submit(parties.agents.read_clocks)
        stopped = pool.submit(stop_server)
        agents = pool.submit(parties.agents.collect, attempt.label, begun.targets)
        load = pool.submit(
            parties.load.collect,
            attempt.label,
            driven.data,
            driven.profile,
            attempt.rate,
            driven.ended_after_seconds,
        )
        wait_for_all(clocks=clocks, server=stopped, agents=agents, load=load)
    database, server = stopped.result()
    return Home(server, load.result(), database, agents.result(), clocks.result())


def _cores_given(cell: Cell, begun: BegunServer, parties: Parties) -> CoresGiven:
    """Of a server behind a balancer without the core that this has apart from it."""
    placement = msgspec.structs.replace(parties.load.placement, server=begun.deployment.cores)
    server = parties.server.host
    load_facts = {one.guarded.host.name: one.guarded.facts for one in parties.load.hosts}
    load = load_cores(placement, load_facts)
    return CoresGiven(
        server=placement.server or server.facts.cores_usable,
        server_fills=server_core_count(placement, server.facts, cell.workers),
        database_count=len(placement.database or parties.database.cores_usable),
        load=load,
        load_workers_on_server=load_on_server_cores(placement, server.host.name),
        agent_on_server=may_share(parties.agents.cores_on(server.host.name), placement.server),
        same_cores=same_cores(load, load_facts),
    )


def _cores_to_gauge(parties: Parties) -> GaugedCores:
    placement = parties.load.placement
    return gauged_cores(parties.server.host.host.name, placement.server, placement.load)


def _files(home: Home) -> dict[str, bytes]:
    return {
        "histogram.json": msgspec.json.encode(_histograms(home.load)),
        "server.log": home.server.log_tail.encode(),
        # No time of its own in the header: the same samples are the same bytes.
        **{
            f"samples-{host}.jsonl.gz": gzip.compress(data, mtime=0)
            for host, data in home.agents.samples.items()
        },
    }


def _histograms(load: LoadEvidence) -> dict[str, Pairs]:
    window = load.window
    found = {"good": window.histogram, "failed": window.failure_histogram, "waited": window.waited}
    if load.open_loop is not None:
        found |= {"service": window.service_histogram, "send_lag": window.send_lag}
        found["waited_service"] = window.waited_service
    return found
