"""One cell measured once: start, rest, load, rest, stop, collect."""

from __future__ import annotations

import contextlib
import gzip
import time

import msgspec

from bench.errors import AsgibenchError
from bench.plan.placement import load_cores, load_on_server_cores, server_core_count
from bench.plan.plan import PlannedRun
from bench.results.assemble import run_result
from bench.results.evidence import (
    AgentEvidence,
    CoresGiven,
    DatabaseEvidence,
    LoadEvidence,
    Planned,
    RunEvidence,
    ServerEvidence,
    Timeline,
)
from bench.results.latency import latency_of
from bench.results.result import DatabaseCounters, RunResult
from bench.results.window import Window
from bench.spec import Endpoint
from bench.wire.slices import Pairs
from loadgen.stats import StoppedRun, cut_window, open_loop_of, per_second
from remote.database import read_counters
from remote.parallel import prompt_pool
from remote.server import Deployment, RunningServer, start_server, stop_server
from reports.progress import LiveFigures, Progress
from session.collect import Home, bring_home
from session.drive import drive_load
from session.ready import wait_for_all
from session.stage import Stage


def measure_run(
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
        stopped, epoch, load_stopped, load_collected = drive_load(stage, run, rate, label, endpoint, progress)
        time.sleep(profile.after_rest_seconds)
        rested = time.time()
    except BaseException:
        _abandon(stage, label)
        raise
    home = bring_home(stage, label, deployment, endpoint)
    window = cut_window(
        stopped.slices,
        stage.cluster.worker_hosts,
        warmup_seconds=profile.warmup_seconds,
        window_seconds=profile.window_seconds,
    )
    stopped_at = time.time()
    result = run_result(
        RunEvidence(
            planned=Planned(run, attempt, deployment.spec, endpoint),
            cores=_cores(stage, run),
            server=ServerEvidence(
                host=guarded.host.name,
                version=deployment.version,
                command=server.command,
                pids=server.worker_pids,
                configuration=server.configuration,
                requests=_server_requests(endpoint, home, stopped),
            ),
            load=LoadEvidence(
                window=window,
                latency=latency_of(window.histogram),
                seconds=per_second(
                    stopped.slices,
                    warmup_seconds=profile.warmup_seconds,
                    window_seconds=profile.window_seconds,
                ),
                engine_requests=sum(one.answered for one in stopped.totals.values()),
                in_flight_at_stop=sum(one.in_flight_at_stop for one in stopped.totals.values()),
                locust_requests=stopped.locust.requests,
                spool_requests=home.spool_requests,
                open_loop=None if rate is None else open_loop_of(window, rate),
            ),
            database=DatabaseEvidence(_database_host(stage), before, home.counters),
            agents=AgentEvidence(home.samples, stage.clock_offsets),
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
            links=stage.links,
        )
    )
    return result, {
        "histogram.json": msgspec.json.encode(_histograms(window, rate)),
        "server.log": home.log_tail.encode(),
        # No time of its own in the header: the same samples are the same bytes.
        **{f"samples-{host}.jsonl.gz": gzip.compress(data, mtime=0) for host, data in home.samples.items()},
    }


def _cores(stage: Stage, run: PlannedRun) -> CoresGiven:
    placement, guarded = stage.placement, stage.fleet.server
    return CoresGiven(
        server=placement.server or guarded.facts.cores_usable,
        server_fills=server_core_count(placement, guarded.facts, run.cell.workers),
        database_count=len(placement.database or stage.fleet.database.facts.cores_usable),
        load=load_cores(placement, {name: one.facts for name, one in stage.fleet.hosts.items()}),
        load_workers_on_server=load_on_server_cores(placement, guarded.host.name),
        agent_on_server=run.cell.load_on == "server" or not placement.shared or placement.server is None,
    )


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
        counters = pool.submit(database_counters, stage, endpoint)
        server = pool.submit(start_server, stage.fleet.server, deployment, [])
        wait_for_all(server, counters)
    return server.result(), counters.result()


def _abandon(stage: Stage, label: str) -> None:
    """After a failure: no agent samples on and no server of this run stays; the failure itself is told."""
    with contextlib.suppress(AsgibenchError):
        stage.agents.end(label, sampled(stage))
    with contextlib.suppress(AsgibenchError):
        stop_server(stage.fleet.server)


def database_counters(stage: Stage, endpoint: Endpoint) -> DatabaseCounters | None:
    if stage.database is None or not endpoint.uses_database:
        return None
    return read_counters(stage.database)


def _server_requests(endpoint: Endpoint, home: Home, stopped: StoppedRun) -> int | None:
    """The server's own count of the same requests. A user's own file may ask for what nobody counts: None."""
    if not endpoint.is_users_own:
        return home.server_counts.get(endpoint.name)
    if any(one.elsewhere for one in stopped.totals.values()):
        return None
    return sum(home.server_counts.values())


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


def sampled(stage: Stage) -> tuple[str, ...]:
    """The hosts that something of a run is on."""
    database = () if stage.database is None else (stage.fleet.database.host.name,)
    load = (host.guarded.host.name for host in stage.cluster.hosts)
    return tuple(dict.fromkeys((stage.fleet.server.host.name, *database, *load)))
