"""A run's raw measurements put together into its result. Pure: no host is asked anything here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from bench.environment.links import Links, link_use
from bench.judge.limit import CpuUse, HostUse, LoadUse, PidChange, RunFigures, judge
from bench.plan.plan import PlannedRun
from bench.results.latency import Latency
from bench.results.result import (
    RESULT_VERSION,
    Bytes,
    Counts,
    DatabaseCounters,
    DatabaseUse,
    LoadWorker,
    MemoryPoint,
    NetworkUse,
    OpenLoop,
    Reason,
    RunResult,
    Second,
    Timing,
    TreeCpu,
)
from bench.results.window import Window
from bench.samples.samples import (
    Cpu,
    Phases,
    Samples,
    agent_cost,
    core_shares_by_process,
    cpu_of,
    host_cpu,
    memory_over,
    network_use,
    parse_samples,
    processes_of,
    tree_series,
)
from bench.spec import Endpoint, Profile, ServerSpec

SERVER = "server"
DATABASE = "database"
# A run's memory chart needs no more points than this a second.
CHART_POINTS_PER_SECOND = 4


class Timeline(msgspec.Struct, frozen=True):
    """When each part of a run began, on the controller's clock, in seconds since 1970."""

    began: float
    ready: float
    load_began: float
    epoch: float
    load_stopped: float
    load_collected: float
    rested: float
    stopped: float
    profile: Profile

    @property
    def window(self) -> tuple[float, float]:
        start = self.epoch + self.profile.warmup_seconds
        return start, start + self.profile.window_seconds


class Measured(msgspec.Struct, frozen=True):
    """All that a run has brought home. ``samples`` are the agents' JSON lines by host.

    ``server_cores`` is what the server can fill, ``host_cores`` what it is placed on, and
    ``load_on_server_cores`` the load workers that share these.
    """

    run: PlannedRun
    attempt: int
    spec: ServerSpec
    endpoint: Endpoint
    server_version: str
    server_command: tuple[str, ...]
    server_pids: tuple[int, ...]
    server_configuration: dict[str, str | int | bool | None]
    server_cores: int
    host_cores: tuple[int, ...]
    database_cores: int
    load_on_server_cores: frozenset[str]
    agent_on_server_cores: bool
    load_cores: dict[str, tuple[int, ...]]
    window: Window
    latency: Latency | None
    seconds: Callable[[Mapping[int, int]], tuple[Second, ...]]
    engine_requests: int
    in_flight: int
    locust_requests: int
    spool_requests: int
    server_requests: int | None
    counters_before: DatabaseCounters | None
    counters_after: DatabaseCounters | None
    samples: dict[str, bytes]
    server_host: str
    database_host: str
    clock_offsets: dict[str, float]
    timeline: Timeline
    open_loop: OpenLoop | None = None
    links: Links | None = None


def run_result(measured: Measured) -> RunResult:
    """Raises ResultError where samples are damaged."""
    samples = {host: parse_samples(data) for host, data in measured.samples.items()}
    here = samples[measured.server_host]
    offset = measured.clock_offsets[measured.server_host]
    timeline = measured.timeline
    start, end = timeline.window
    memory = memory_over(
        here,
        SERVER,
        Phases(
            idle=(timeline.ready + offset, timeline.load_began + offset),
            window=(start + offset, end + offset),
            after=(timeline.load_collected + offset, timeline.rested + offset),
        ),
    )
    server_cpu = _tree_cpu(here, SERVER, start + offset, end + offset, measured.server_cores)
    database_cpu = _database_cpu(measured, samples)
    counts = Counts(
        engine=measured.engine_requests,
        server=measured.server_requests,
        locust=measured.locust_requests,
        spool=measured.spool_requests,
        in_flight_at_stop=measured.in_flight,
    )
    database = _database_use(measured)
    judgement = judge(
        RunFigures(
            requests=measured.window.requests,
            server=_server_use(server_cpu, measured, here),
            load=tuple(_load_use(worker, measured, samples) for worker in measured.window.workers),
            link=link_use(measured.links, _bytes_by_host(measured.window)),
            host=_host_use(measured, here, server_cpu, database_cpu),
            load_hosts=_load_hosts(measured, samples),
            database=_use(database_cpu) if _may_use_database(measured.endpoint) else None,
            database_is_foreign=not measured.database_host,
            database_on_server_cores=measured.database_host == measured.server_host,
            shared_cores=len(measured.host_cores),
            median_latency_seconds=measured.latency.p50 if measured.latency else None,
            p90_latency_seconds=measured.latency.p90 if measured.latency else None,
            p99_latency_seconds=measured.latency.p99 if measured.latency else None,
            connections=measured.run.cell.connections,
            failures=measured.window.failures,
            processes=_pid_change(here, start + offset, end + offset),
            counts=counts,
            database_use=database,
            expected_transactions_per_request=measured.endpoint.transactions_per_request,
            samples_complete=all(found.complete for found in samples.values()),
            samples_missed_share=max(map(_missed_share, samples.values())),
            open_loop=measured.open_loop,
            window_seconds=measured.window.seconds,
            arrivals=timeline.profile.arrivals,
            generator_is_measured=measured.run.cell.is_of_method,
        )
    )
    reasons = (*judgement.as_reasons(), *_gap_reasons(measured.window))
    requests = measured.window.requests
    return RunResult(
        version=RESULT_VERSION,
        run_id=measured.run.id,
        cell=measured.run.cell,
        block=measured.run.block,
        position=measured.run.position,
        started_at=datetime.fromtimestamp(timeline.began, UTC).isoformat(timespec="seconds"),
        server_version=measured.server_version,
        server_command=measured.server_command,
        server_settings=msgspec.to_builtins(measured.spec.settings),
        unhonoured_settings=measured.spec.unhonoured_settings,
        server_pids=measured.server_pids,
        server_configuration=measured.server_configuration,
        requests=requests,
        failures=measured.window.failures,
        requests_per_second=measured.window.requests_per_second,
        bytes_per_second=measured.window.bytes_per_second,
        latency_seconds=measured.latency,
        seconds=measured.seconds(_rss_by_second(here, timeline.epoch + offset)),
        memory=_memory_points(here, timeline.epoch + offset),
        rss_bytes=memory.rss,
        pss_bytes=_present(memory.pss),
        uss_bytes=_present(memory.uss),
        server_cpu=server_cpu,
        database_cpu=database_cpu,
        cpu_seconds_per_request=server_cpu.cpu_seconds / requests if server_cpu and requests else None,
        load_workers=measured.window.workers,
        agent_core_share={
            host: cost
            for host, found in samples.items()
            if (cost := _agent_share(found, start, end, measured.clock_offsets[host])) is not None
        },
        counts=counts,
        database=database,
        timing=_timing(timeline),
        limit=judgement.as_limit(),
        valid=not any(reason.invalidates for reason in reasons),
        reasons=reasons,
        attempt=measured.attempt,
        network=_network(measured, samples),
        open_loop=measured.open_loop,
    )


def _may_use_database(endpoint: Endpoint) -> bool:
    return endpoint.uses_database or endpoint.is_users_own


def _use(cpu: TreeCpu | None) -> CpuUse | None:
    return None if cpu is None else CpuUse(cpu.core_share, cpu.cores)


def _server_use(cpu: TreeCpu | None, measured: Measured, here: Samples) -> CpuUse | None:
    """With several workers the busiest of them too: one may be full while others wait for connections."""
    if cpu is None or measured.run.cell.workers == 1:
        return _use(cpu)
    offset = measured.clock_offsets[measured.server_host]
    start, end = (moment + offset for moment in measured.timeline.window)
    shares = core_shares_by_process(here, SERVER, start, end)
    return CpuUse(cpu.core_share, cpu.cores, max(shares.values(), default=None))


def _bytes_by_host(window: Window) -> dict[str, float]:
    """What each load host received, in bytes a second of the window."""
    found: dict[str, float] = {}
    for worker in window.workers:
        found[worker.host] = found.get(worker.host, 0.0) + worker.bytes_received / window.seconds
    return found


def _load_use(worker: LoadWorker, measured: Measured, samples: Mapping[str, Samples]) -> LoadUse:
    """Of its two processes the busier; Locust's own clients run in Locust's."""
    wait = worker.core_wait_share_median + _stolen_share(worker, measured, samples)
    return LoadUse(
        worker=worker.name,
        core_share=max(worker.engine_core_share_median, worker.locust_core_share_median),
        core_wait_share=wait if _is_wait_its_limit(worker, measured) else 0.0,
        on_server_cores=worker.name in measured.load_on_server_cores,
        loop_lag_seconds=worker.loop_lag_seconds_max,
    )


def _is_wait_its_limit(worker: LoadWorker, measured: Measured) -> bool:
    """Whether a worker that waits for its core is short of CPU by itself, and not because of the server.

    An engine is, where it shares its core with others of its host; Locust's clients are wherever they run.
    On the server's own cores, where the plan wants them, the shares of the cores say who took them.
    """
    if measured.run.cell.load_on == "server":
        return False
    if measured.run.cell.client != "engine" or measured.endpoint.is_users_own:
        return True
    beside = sum(other.host == worker.host for other in measured.window.workers)
    return beside > len(measured.load_cores.get(worker.host, ()))


def _stolen_share(worker: LoadWorker, measured: Measured, samples: Mapping[str, Samples]) -> float:
    """What the hypervisor took of each core of the worker's host: it takes from who is ready to run.

    Counted for Locust's own clients, which are so slow that they are nearly always ready.
    """
    cores = measured.load_cores.get(worker.host)
    is_engine = measured.run.cell.client == "engine" and not measured.endpoint.is_users_own
    if not cores or is_engine:
        return 0.0
    offset = measured.clock_offsets[worker.host]
    start, end = (moment + offset for moment in measured.timeline.window)
    used = host_cpu(samples[worker.host], cores, start, end)
    return 0.0 if used is None or used.stolen is None else used.stolen / len(cores)


def _host_use(
    measured: Measured, here: Samples, server: TreeCpu | None, database: TreeCpu | None
) -> HostUse | None:
    """What others took: all that the cores did, less all of ours that may run on them."""
    offset = measured.clock_offsets[measured.server_host]
    start, end = (moment + offset for moment in measured.timeline.window)
    used = host_cpu(here, measured.host_cores, start, end)
    if used is None or server is None:
        return None
    ours = server.core_share
    if database is not None and measured.database_host == measured.server_host:
        ours += database.core_share
    if measured.agent_on_server_cores:
        ours += agent_cost(here, start, end).core_share or 0.0
    ours += sum(
        worker.cpu_share for worker in measured.window.workers if worker.name in measured.load_on_server_cores
    )
    return HostUse(len(measured.host_cores), used.busy, max(0.0, used.busy - ours), used.stolen)


def _network(measured: Measured, samples: Mapping[str, Samples]) -> dict[str, NetworkUse]:
    start, end = measured.timeline.window
    found = {
        host: network_use(one, start + measured.clock_offsets[host], end + measured.clock_offsets[host])
        for host, one in samples.items()
    }
    return {host: used for host, used in found.items() if used is not None}


def _load_hosts(measured: Measured, samples: Mapping[str, Samples]) -> dict[str, HostUse]:
    """What others took of each load host's cores; of those that are the server's too, ``_host_use`` tells."""
    found: dict[str, HostUse] = {}
    for host, cores in measured.load_cores.items():
        offset = measured.clock_offsets[host]
        start, end = (moment + offset for moment in measured.timeline.window)
        used = host_cpu(samples[host], cores, start, end)
        workers = [worker for worker in measured.window.workers if worker.host == host]
        if used is None or measured.load_on_server_cores & {worker.name for worker in workers}:
            continue
        ours = sum(worker.cpu_share for worker in workers)
        ours += agent_cost(samples[host], start, end).core_share or 0.0
        found[host] = HostUse(len(cores), used.busy, max(0.0, used.busy - ours), used.stolen)
    return found


def _pid_change(samples: Samples, start: float, end: float) -> PidChange:
    change = processes_of(samples, SERVER, start, end)
    return PidChange(tuple(sorted(change.appeared)), tuple(sorted(change.vanished)))


def _missed_share(samples: Samples) -> float:
    taken = len(samples.samples)
    missed = samples.footer.missed if samples.footer else 0
    return missed / (taken + missed) if taken + missed else 1.0


def _gap_reasons(window: Window) -> tuple[Reason, ...]:
    return tuple(
        Reason(
            "SlicesMissing",
            f"load worker {worker} has no figures for {len(seconds)} of {window.seconds} seconds",
            remedy="See the load host: its worker was held up",
            invalidates=True,
        )
        for worker, seconds in window.gaps.items()
    )


def _present(found: Bytes | None) -> Bytes | None:
    """None where no part of it could be had."""
    if found is None or (found.median is None and found.idle is None):
        return None
    return found


def _tree_cpu(samples: Samples, target: str, start: float, end: float, cores: int) -> TreeCpu | None:
    cpu: Cpu | None = cpu_of(samples, target, start, end)
    if cpu is None:
        return None
    return TreeCpu(
        cpu_seconds=cpu.cpu_seconds,
        core_share=cpu.core_share,
        cores=cores,
        processes=len(processes_of(samples, target, start, end).at_start),
    )


def _database_cpu(measured: Measured, samples: Mapping[str, Samples]) -> TreeCpu | None:
    found = samples.get(measured.database_host)
    if found is None or DATABASE not in found.header.targets:
        return None
    offset = measured.clock_offsets[measured.database_host]
    start, end = measured.timeline.window
    return _tree_cpu(found, DATABASE, start + offset, end + offset, measured.database_cores)


def _database_use(measured: Measured) -> DatabaseUse | None:
    before, after = measured.counters_before, measured.counters_after
    if before is None or after is None:
        return None
    transactions = after.xact_commit - before.xact_commit - before.own_transactions
    requests = measured.engine_requests
    return DatabaseUse(
        transactions=transactions,
        requests=requests,
        transactions_per_request=transactions / requests if requests else 0.0,
        rows_fetched=after.tup_fetched - before.tup_fetched,
    )


def _rss_by_second(samples: Samples, epoch: float) -> dict[int, int]:
    """The last reading of each second since the epoch (on the samples' own clock)."""
    return {
        int(point.t - epoch): point.rss_bytes
        for point in tree_series(samples, SERVER)
        if point.rss_bytes is not None and point.t >= epoch
    }


def _memory_points(samples: Samples, epoch: float) -> tuple[MemoryPoint, ...]:
    points: list[MemoryPoint] = []
    last_slot: int | None = None
    for point in tree_series(samples, SERVER):
        slot = int((point.t - epoch) * CHART_POINTS_PER_SECOND // 1)
        if point.rss_bytes is not None and slot != last_slot:
            points.append(MemoryPoint(round(point.t - epoch, 2), point.rss_bytes))
            last_slot = slot
    return tuple(points)


def _agent_share(samples: Samples, start: float, end: float, offset: float) -> float | None:
    return agent_cost(samples, start + offset, end + offset).core_share


def _timing(timeline: Timeline) -> Timing:
    profile = timeline.profile
    rests = (timeline.load_began - timeline.ready) + (timeline.rested - timeline.load_collected)
    planned = (
        profile.warmup_seconds
        + profile.window_seconds
        + profile.idle_rest_seconds
        + profile.after_rest_seconds
    )
    total = timeline.stopped - timeline.began
    return Timing(
        start_seconds=timeline.ready - timeline.began,
        rest_seconds=rests,
        warmup_seconds=float(profile.warmup_seconds),
        window_seconds=float(profile.window_seconds),
        stop_seconds=timeline.stopped - timeline.rested,
        total_seconds=total,
        overhead_seconds=total - planned,
    )
