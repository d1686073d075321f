"""A run's evidence put together into its result. Pure: no host is asked anything here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import mean, stdev

import msgspec

from bench.clients import client_of
from bench.environment.links import link_use
from bench.judge.figures import CpuUse, HostUse, LinkUse, LoadUse, PidChange, RunFigures
from bench.judge.judge import Judgement, judge
from bench.results.answers import AnswersSeen, answers_of
from bench.results.balancer import BalancerUse
from bench.results.clocks import RunClocks, run_clocks
from bench.results.evidence import DatabaseEvidence, LoadEvidence, RunEvidence, Timeline
from bench.results.figures import (
    Bytes,
    Counts,
    DatabaseUse,
    LoadWorker,
    MemoryPoint,
    NetworkUse,
    Second,
    Timing,
    TreeCpu,
)
from bench.results.fixed_wait import peak_share
from bench.results.proof import SettingProof
from bench.results.prove import run_proof
from bench.results.quota import QuotaUse
from bench.results.reached import SocketMemory, socket_memory
from bench.results.run import RESULT_VERSION, RunResult
from bench.results.speed import MachineSpeed, machine_speed, per_request_by_second
from bench.results.window import Window
from bench.samples.by_second import cpu_by_second
from bench.samples.cost import missed_share
from bench.samples.memory import TreeBytes, memory_of
from bench.samples.read import parse_samples
from bench.samples.tree import Tree
from bench.samples.view import HostSamples

SERVER = "server"
DATABASE = "database"
BALANCER = "balancer"
# A run's memory chart needs no more points than this a second.
CHART_POINTS_PER_SECOND = 4


class Derived(msgspec.Struct, frozen=True):
    """What several parts of a result are made of, worked out of the evidence once."""

    server_cpu: TreeCpu | None  # None: the window was not sampled
    database_cpu: TreeCpu | None  # None: the window was not sampled, or the database isn't ours
    answers: AnswersSeen
    counts: Counts
    database_use: DatabaseUse | None  # None: the endpoint doesn't use the database
    proof: tuple[SettingProof, ...]
    quotas: tuple[QuotaUse, ...]
    speed: MachineSpeed | None  # None: no yardstick was read
    balancer: BalancerUse | None  # None: there was none
    clocks: RunClocks


Hosts = Mapping[str, HostSamples]
"""Each host's samples, asked for the window."""


def run_result(evidence: RunEvidence) -> RunResult:
    """One run's result: its figures, what held it back, and whether it counts.

    Raises ResultError where samples are damaged.
    """
    hosts = _hosts(evidence)
    derived = Derived(
        server_cpu=_tree_cpu(hosts[evidence.server.host], SERVER, evidence.cores.server_fills),
        database_cpu=_database_cpu(evidence, hosts),
        answers=answers_of(evidence.load.window, evidence.load.seconds),
        counts=_counts(evidence),
        database_use=_database_use(evidence.database, evidence.load),
        proof=run_proof(evidence),
        quotas=tuple(use for host, samples in hosts.items() for use in samples.quotas(host)),
        speed=_speed(evidence, hosts),
        balancer=_balancer(evidence, hosts[evidence.server.host]),
        clocks=run_clocks(evidence.clocks, {host: one.samples for host, one in hosts.items()}),
    )
    judgement = judge(_figures(evidence, hosts, derived))
    return _result(evidence, hosts, derived, judgement)


def _hosts(evidence: RunEvidence) -> dict[str, HostSamples]:
    """All times in the samples are on the controller's monotonic clock from here on."""
    offsets, window = evidence.clocks.offsets, evidence.timeline.window
    return {
        host: HostSamples(parse_samples(data, offsets[host]), window)
        for host, data in evidence.agents.samples.items()
    }


def _result(evidence: RunEvidence, hosts: Hosts, derived: Derived, judgement: Judgement) -> RunResult:
    planned, server, load = evidence.planned, evidence.server, evidence.load
    window, timeline = load.window, evidence.timeline
    tree = hosts[server.host].tree(SERVER)
    memory = _memory(hosts[server.host], timeline)
    cpu = derived.server_cpu
    return RunResult(
        version=RESULT_VERSION,
        run_id=planned.run.id,
        cell=planned.run.cell,
        block=planned.run.block,
        position=planned.run.position,
        started_at=datetime.fromtimestamp(timeline.started_at, UTC).isoformat(timespec="seconds"),
        server_version=server.version,
        server_command=server.command,
        server_settings=msgspec.to_builtins(planned.spec.settings),
        unhonoured_settings=planned.spec.unhonoured_settings,
        server_pids=server.pids,
        server_configuration=server.configuration,
        proof=derived.proof,
        requests=window.requests,
        failures=window.failures,
        requests_per_second=window.requests_per_second,
        bytes_per_second=window.bytes_per_second,
        latency_seconds=load.latency,
        seconds=_with_memory(load.seconds, tree, timeline.epoch),
        memory=_memory_points(tree, timeline.epoch),
        rss_bytes=memory.rss,
        pss_bytes=_present(memory.pss),
        uss_bytes=_present(memory.uss),
        server_cpu=cpu,
        database_cpu=derived.database_cpu,
        cpu_seconds_per_request=cpu.cpu_seconds / window.requests if cpu and window.requests else None,
        load_workers=window.workers,
        agent_core_share=_agent_shares(hosts),
        counts=derived.counts,
        database=derived.database_use,
        timing=_timing(timeline),
        limit=judgement.as_limit(),
        valid=judgement.valid,
        reasons=judgement.as_reasons(),
        machine_speed=derived.speed,
        attempt=planned.attempt,
        rss_growth=hosts[server.host].growth(SERVER),
        quotas=derived.quotas,
        clocks=derived.clocks,
        network=_network(hosts),
        open_loop=load.open_loop,
        answers=derived.answers,
        tls=load.tls,
        sockets=_sockets(evidence, tree),
        worker_requests=server.worker_requests,
        balancer=derived.balancer,
    )


# ---------------------------------------------------------------- what the judgement is made of


def _figures(evidence: RunEvidence, hosts: Hosts, derived: Derived) -> RunFigures:
    planned, server, load = evidence.planned, evidence.server, evidence.load
    window, latency = load.window, load.latency
    here = hosts[server.host]
    load_hosts = _load_hosts(evidence, hosts)
    return RunFigures(
        requests=window.requests,
        server=_server_use(derived.server_cpu, here, planned.run.cell.workers),
        load=tuple(_load_use(worker, evidence, hosts, load_hosts) for worker in window.workers),
        link=_with_packets(link_use(evidence.links, _bytes_by_host(window)), evidence, here),
        machine_speed=derived.speed,
        host=_host_use(evidence, here, derived),
        quotas=derived.quotas,
        load_hosts=load_hosts,
        database=_use(derived.database_cpu) if planned.endpoint.may_use_database else None,
        database_is_foreign=not evidence.database.host,
        balancer=None if derived.balancer is None else _use(derived.balancer.cpu),
        balancer_on_server_cores=derived.balancer is not None and not derived.balancer.is_apart,
        database_on_server_cores=evidence.database.host == server.host,
        shared_cores=len(evidence.cores.server),
        median_latency_seconds=latency.p50 if latency else None,
        p90_latency_seconds=latency.p90 if latency else None,
        p99_latency_seconds=latency.p99 if latency else None,
        forty_milliseconds_share=peak_share(window.histogram),
        eighty_milliseconds_share=peak_share(window.histogram, waits=2),
        second_spread=_second_spread(load.seconds),
        tcp_nodelay=_tcp_nodelay(server.configuration),
        connections=planned.run.cell.connections,
        failures=window.failures,
        answers=derived.answers,
        processes=_pid_change(here),
        proof=derived.proof,
        counts=derived.counts,
        database_use=derived.database_use,
        expected_transactions_per_request=planned.endpoint.transactions_per_request,
        clocks=derived.clocks,
        contradictions=load.contradictions,
        samples_complete=all(one.samples.complete for one in hosts.values()),
        samples_missed_share=max(missed_share(one.samples) for one in hosts.values()),
        slices_missing={worker: len(seconds) for worker, seconds in window.gaps.items()},
        open_loop=load.open_loop,
        window_seconds=window.seconds,
        arrivals=evidence.timeline.profile.arrivals,
        generator_is_measured=planned.run.cell.is_of_method,
    )


def _tcp_nodelay(configuration: Mapping[str, object]) -> bool | None:
    """None where the server didn't tell, or couldn't."""
    told = configuration.get("tcp_nodelay")
    return told if isinstance(told, bool) else None


def _second_spread(seconds: Sequence[Second]) -> float | None:
    """The deviation of bytes per second over their mean; None without two seconds of the window.

    Of bytes, because a second may end with most of a large answer there, which counts in the next.
    """
    received = [one.bytes_received or 0 for one in seconds if one.in_window]
    if len(received) < 2 or not any(received):
        return None
    return stdev(received) / mean(received)


def _use(cpu: TreeCpu | None) -> CpuUse | None:
    if cpu is None:
        return None
    return CpuUse(cpu.core_share, cpu.cores, busiest_thread=cpu.busiest_thread, wait_share=cpu.wait_share)


def _server_use(cpu: TreeCpu | None, here: HostSamples, workers: int) -> CpuUse | None:
    """With several workers also the busiest of them: one may be full while others wait for connections."""
    use = _use(cpu)
    if use is None or workers == 1:
        return use
    return msgspec.structs.replace(use, busiest_process=here.busiest_process(SERVER))


def _with_packets(link: LinkUse, evidence: RunEvidence, here: HostSamples) -> LinkUse:
    """What the server's host counted, unless a load beside the server goes past its interfaces."""
    network = here.network()
    if network is None or evidence.server.host in evidence.cores.load:
        return link
    sent, received = network.sent_packets_per_second, network.received_packets_per_second
    if sent is None or received is None:
        return link
    return msgspec.structs.replace(link, packets_per_second=max(sent, received))


def _bytes_by_host(window: Window) -> dict[str, float]:
    """What each load host received, in bytes per second of the window."""
    found: dict[str, float] = {}
    for worker in window.workers:
        found[worker.host] = found.get(worker.host, 0.0) + worker.bytes_received / window.real_seconds
    return found


def _load_use(
    worker: LoadWorker, evidence: RunEvidence, hosts: Hosts, load_hosts: Mapping[str, HostUse]
) -> LoadUse:
    """How busy a load worker was, and how long it waited for its core."""
    wait = worker.core_wait_share_median + _stolen_share(worker, evidence, hosts)
    of_host = load_hosts.get(worker.host)
    return LoadUse(
        worker=worker.name,
        core_share=worker.work_share,
        core_wait_share=wait if _is_wait_its_own(worker, evidence) else 0.0,
        interrupt_share=0.0 if of_host is None else (of_host.interrupts or 0.0) / of_host.cores,
        on_server_cores=worker.name in evidence.cores.load_workers_on_server,
        loop_lag_seconds=worker.loop_lag_seconds_max,
        host=worker.host,
    )


def _is_by_light_client(evidence: RunEvidence) -> bool:
    """The load is made by our engine or by h2load, not by Locust's clients."""
    return client_of(evidence.planned.run.cell.client).is_light and not evidence.planned.endpoint.is_users_own


def _is_wait_its_own(worker: LoadWorker, evidence: RunEvidence) -> bool:
    """Whether a worker that waits for its core does so beside other workers or programs, not the server.

    On the server's own cores, where the plan wants them, the shares of the cores say who took them.
    """
    if evidence.planned.run.cell.load_on == "server":
        return False
    return not _is_by_light_client(evidence) or worker.name not in evidence.cores.load_workers_on_server


def _stolen_share(worker: LoadWorker, evidence: RunEvidence, hosts: Hosts) -> float:
    """What the hypervisor took of each core of the worker's host, from a process that was ready to run.

    Counted for Locust's own clients, which are so slow that they are nearly always ready.
    """
    cores = evidence.cores.load.get(worker.host)
    if not cores or _is_by_light_client(evidence):
        return 0.0
    used = hosts[worker.host].host_cpu(cores)
    return 0.0 if used is None or used.stolen is None else used.stolen / len(cores)


def _host_use(evidence: RunEvidence, here: HostSamples, derived: Derived) -> HostUse | None:
    """What others took: all that the server's cores did, less what ours on them did."""
    cores, server, database = evidence.cores, derived.server_cpu, derived.database_cpu
    used = here.host_cpu(cores.server)
    if used is None or server is None:
        return None
    ours = server.core_share
    if database is not None and evidence.database.host == evidence.server.host:
        ours += database.core_share
    balancer = derived.balancer
    if balancer is not None and balancer.cpu is not None and not balancer.is_apart:
        ours += balancer.cpu.core_share
    if cores.agent_on_server:
        ours += here.agent_share() or 0.0
    ours += sum(
        worker.cpu_share
        for worker in evidence.load.window.workers
        if worker.name in cores.load_workers_on_server
    )
    return HostUse(len(cores.server), used.busy, max(0.0, used.busy - ours), used.stolen, used.interrupts)


def _load_hosts(evidence: RunEvidence, hosts: Hosts) -> dict[str, HostUse]:
    """What others took of each load host's cores. ``_host_use`` covers cores that are the server's too.

    Load hosts that are one machine and have the same cores are no others to each other.
    """
    found: dict[str, HostUse] = {}
    for host, cores in evidence.cores.load.items():
        used = hosts[host].host_cpu(cores)
        workers = [worker for worker in evidence.load.window.workers if worker.host == host]
        if used is None or evidence.cores.load_workers_on_server & {worker.name for worker in workers}:
            continue
        together = {host, *evidence.cores.same_cores.get(host, ())}
        ours = sum(worker.cpu_share for worker in evidence.load.window.workers if worker.host in together)
        ours += sum(hosts[name].agent_share() or 0.0 for name in together)
        found[host] = HostUse(len(cores), used.busy, max(0.0, used.busy - ours), used.stolen, used.interrupts)
    return found


def _pid_change(here: HostSamples) -> PidChange:
    change = here.processes(SERVER)
    return PidChange(tuple(sorted(change.appeared)), tuple(sorted(change.vanished)))


# ---------------------------------------------------------------- counts and CPU


def _counts(evidence: RunEvidence) -> Counts:
    load = evidence.load
    return Counts(
        engine=load.engine_requests,
        server=evidence.server.requests,
        locust=load.locust_requests,
        spool=load.spool_requests,
        in_flight_at_stop=load.in_flight_at_stop,
    )


def _tree_cpu(host: HostSamples, target: str, cores: int) -> TreeCpu | None:
    cpu = host.cpu(target)
    if cpu is None:
        return None
    threads = host.threads(target)
    return TreeCpu(
        cpu_seconds=cpu.cpu_seconds,
        core_share=cpu.core_share,
        cores=cores,
        processes=len(host.processes(target).at_start),
        busiest_thread=threads.busiest if threads else None,
        wait_share=threads.waiting if threads else None,
    )


def _balancer(evidence: RunEvidence, here: HostSamples) -> BalancerUse | None:
    found = evidence.server.balancer
    if found is None:
        return None
    memory = _memory(here, evidence.timeline, BALANCER)
    return BalancerUse(
        name=found.name,
        version=found.version,
        configuration=found.configuration,
        is_apart=found.is_apart,
        # It has one thread.
        cpu=_tree_cpu(here, BALANCER, 1),
        rss_bytes=memory.rss,
        pss_bytes=_present(memory.pss),
        is_pushed=found.is_pushed,
    )


def _database_cpu(evidence: RunEvidence, hosts: Hosts) -> TreeCpu | None:
    host = hosts.get(evidence.database.host)
    if host is None or not host.has(DATABASE):
        return None
    return _tree_cpu(host, DATABASE, evidence.cores.database_count)


def _database_use(database: DatabaseEvidence, load: LoadEvidence) -> DatabaseUse | None:
    before, after = database.before, database.after
    if before is None or after is None:
        return None
    transactions = after.xact_commit - before.xact_commit - before.own_transactions
    requests = load.engine_requests
    return DatabaseUse(
        transactions=transactions,
        requests=requests,
        transactions_per_request=transactions / requests if requests else 0.0,
        rows_fetched=after.tup_fetched - before.tup_fetched,
    )


def _speed(evidence: RunEvidence, hosts: Hosts) -> MachineSpeed | None:
    if evidence.speed is None:
        return None
    requests = {one.second: one.requests for one in evidence.load.seconds if one.in_window}
    tree = hosts[evidence.server.host].tree(SERVER)
    used = cpu_by_second(tree, evidence.timeline.epoch, requests)
    return machine_speed(evidence.speed, per_request_by_second(used, requests))


def _agent_shares(hosts: Hosts) -> dict[str, float]:
    found = {host: one.agent_share() for host, one in hosts.items()}
    return {host: share for host, share in found.items() if share is not None}


def _network(hosts: Hosts) -> dict[str, NetworkUse]:
    found = {host: one.network() for host, one in hosts.items()}
    return {host: used for host, used in found.items() if used is not None}


# ---------------------------------------------------------------- memory and time


def _memory(here: HostSamples, timeline: Timeline, target: str = SERVER) -> TreeBytes:
    return here.memory(
        target,
        idle=(timeline.ready, timeline.load_began),
        after=(timeline.load_collected, timeline.rested),
    )


def _sockets(evidence: RunEvidence, tree: Tree) -> SocketMemory | None:
    timeline = evidence.timeline
    if timeline.held is None:
        return None
    before = memory_of(tree, (timeline.ready, timeline.load_began))
    return socket_memory(evidence.planned.run.cell.connections, before, memory_of(tree, timeline.held))


def _present(found: Bytes | None) -> Bytes | None:
    """None where no part of it could be had."""
    if found is None or (found.median is None and found.idle is None):
        return None
    return found


def _with_memory(seconds: tuple[Second, ...], tree: Tree, epoch: float) -> tuple[Second, ...]:
    """Each second with the server's last RSS in it."""
    rss = {
        int(point.t - epoch): point.rss_bytes
        for point in tree.points
        if point.rss_bytes is not None and point.t >= epoch
    }
    return tuple(msgspec.structs.replace(one, server_rss_bytes=rss.get(one.second)) for one in seconds)


def _memory_points(tree: Tree, epoch: float) -> tuple[MemoryPoint, ...]:
    points: list[MemoryPoint] = []
    last_slot: int | None = None
    for point in tree.points:
        slot = int((point.t - epoch) * CHART_POINTS_PER_SECOND // 1)
        if point.rss_bytes is not None and slot != last_slot:
            points.append(MemoryPoint(round(point.t - epoch, 2), point.rss_bytes))
            last_slot = slot
    return tuple(points)


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
