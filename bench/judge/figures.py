"""What is known of one run, in the numbers that the rules need."""

from __future__ import annotations

import msgspec

from bench.judge.thresholds import Thresholds
from bench.results.answers import AnswersSeen
from bench.results.clocks import RunClocks
from bench.results.figures import Counts, DatabaseUse, OpenLoop
from bench.results.invariants import Contradiction
from bench.results.proof import SettingProof
from bench.results.quota import QuotaUse
from bench.results.speed import MachineSpeed
from bench.spec import Arrivals

# A worker of one thread never takes more than its core, but for the sampling's ticks.
ONE_THREAD_AT_MOST = 1.05
# Its helpers take a little beside it; below this, the work is spread over several.
ONE_THREAD_AT_LEAST = 0.85


class CpuUse(msgspec.Struct, frozen=True):
    """CPU of a process tree in the window."""

    core_share: float  # cores used on average; 1.0 is one core in full
    # How many it may use at once, above 0: the cores it is pinned to, or fewer if it can't fill them (a
    # worker with one thread fills one).
    cores: float
    busiest_process: float | None = None  # core share; None where one process may fill more than a core
    busiest_thread: float | None = None  # core share of one thread; None: not known
    # Cores' worth of time in which its processes were ready to run and others had the core; None: not known.
    wait_share: float | None = None

    @property
    def part(self) -> float:
        """1.0: all that it may use."""
        return self.core_share / self.cores


class LoadUse(msgspec.Struct, frozen=True):
    """One load worker in the window."""

    worker: str
    core_share: float  # work of its two processes, which share a core, in their median seconds
    on_server_cores: bool = False
    loop_lag_seconds: float = 0.0  # the longest time in which it didn't look at its connections
    core_wait_share: float = 0.0  # of the median second: ready to run while others had its core
    interrupt_share: float = 0.0  # interrupts of its core, where the kernel keeps them apart from its work
    host: str = ""

    @property
    def work_share(self) -> float:
        """Of its core, what it filled by itself."""
        return self.core_share + self.interrupt_share

    @property
    def busy_share(self) -> float:
        """1.0: it never had to wait for an answer, only for the core."""
        return self.work_share + self.core_wait_share


class LinkUse(msgspec.Struct, frozen=True):
    """Traffic between server and load in the window, against the slowest link on its way; None: not known."""

    bytes_per_second: float
    link_bytes_per_second: float | None = None
    round_trip_seconds: float | None = None
    packets_per_second: float | None = None  # of the server's host, in the direction that has more
    link_packets_per_second: float | None = None  # the most that it carries each way, as probed
    # What the probe saw of the link or links, their speed or less, where its own CPU was the limit.
    probed_bytes_per_second: float | None = None


class HostUse(msgspec.Struct, frozen=True):
    """The cores that a party may use on its host, in the window. Each share is in cores."""

    cores: float  # how many
    busy: float  # what all programs took together
    others: float  # what programs took that are not ours
    stolen: float | None = None  # what the hypervisor gave to another machine; None: the system doesn't tell
    # Interrupts, where the kernel keeps them apart from what processes take; None: they are in ``busy``, or
    # it isn't known.
    interrupts: float | None = None

    @property
    def taken_share(self) -> float:
        """Of these cores, what other programs and other machines had."""
        return (self.others + (self.stolen or 0.0)) / self.cores

    @property
    def has_room(self) -> bool:
        """Whoever wanted to run found a core free, on average."""
        return self.cores - self.busy - (self.stolen or 0.0) - (self.interrupts or 0.0) >= 1.0


class PidChange(msgspec.Struct, frozen=True):
    """Processes of the server that came or went in the window, by pid."""

    appeared: tuple[int, ...] = ()
    vanished: tuple[int, ...] = ()


class RunFigures(msgspec.Struct, frozen=True):
    """What is known of one run. None: it could not be measured."""

    requests: int  # answered in full, in the window
    server: CpuUse | None
    load: tuple[LoadUse, ...]
    link: LinkUse | None = None
    machine_speed: MachineSpeed | None = None  # None: no yardstick was read
    host: HostUse | None = None  # of the server's cores
    # CPU quotas of control groups that any of our processes is in, the most throttled first; () also where
    # they aren't known.
    quotas: tuple[QuotaUse, ...] = ()
    # By name, of the load's cores; hosts whose load is on the server's cores are left out.
    load_hosts: dict[str, HostUse] = {}
    database: CpuUse | None = None
    database_on_server_cores: bool = False
    database_is_foreign: bool = False  # it is not ours, so no agent samples it
    balancer: CpuUse | None = None  # the load balancer before the server; None: there is none
    balancer_on_server_cores: bool = False
    # How many cores the server shares with the parties on its cores; None: as many as it may use.
    shared_cores: float | None = None
    median_latency_seconds: float | None = None
    p90_latency_seconds: float | None = None
    p99_latency_seconds: float | None = None
    # Of the answers, those in a peak at 40 ms or at twice that: bench/results/fixed_wait.py says what one is.
    forty_milliseconds_share: float | None = None
    eighty_milliseconds_share: float | None = None
    second_spread: float | None = None  # of bytes in the window's seconds: deviation over mean
    tcp_nodelay: bool | None = None  # as the server's own connection has it; None: not known
    connections: int | None = None
    failures: dict[str, int] = {}  # requests by kind of failure, in the window
    answers: AnswersSeen | None = None
    processes: PidChange = PidChange()
    proof: tuple[SettingProof, ...] = ()  # of each setting of the server
    counts: Counts | None = None
    database_use: DatabaseUse | None = None
    # What the endpoint does by its code; None if it uses no database.
    expected_transactions_per_request: float | None = None
    clocks: RunClocks | None = None
    contradictions: tuple[Contradiction, ...] = ()  # between figures that must be alike
    samples_complete: bool = True  # every agent's file has its end
    samples_missed_share: float = 0.0  # of the slots of the agent's schedule, on the worst host
    slices_missing: dict[str, int] = {}  # seconds of the window without figures, by load worker
    open_loop: OpenLoop | None = None  # None: closed loop
    window_seconds: float = 0.0
    arrivals: Arrivals = "constant"
    generator_is_measured: bool = False  # the load is made as the paper made it

    @property
    def failed(self) -> int:
        """Requests that failed in the window."""
        return sum(self.failures.values())

    @property
    def cores_shared(self) -> float:
        """How many cores the server has, with the parties that are on the same ones."""
        if self.shared_cores is not None:
            return self.shared_cores
        return 0.0 if self.server is None else self.server.cores

    @property
    def load_on_server_cores(self) -> float:
        """Cores used by the load workers that share the server's."""
        return sum(worker.core_share for worker in self.load if worker.on_server_cores)

    @property
    def others_share(self) -> float:
        """What other programs took of a party's cores, stolen time included; of the party that lost most."""
        hosts = [*self.load_hosts.values(), *([] if self.host is None else [self.host])]
        return max((host.taken_share for host in hosts), default=0.0)

    @property
    def server_lost(self) -> float:
        """Cores' worth of time that programs and machines not ours had while the server could have run.

        A wait for our own database or load is none. 0.0 also where the system doesn't tell.
        """
        server, host = self.server, self.host
        if server is None or host is None:
            return 0.0
        # One that is stopped by its quota is ready too, and its cores are free for others.
        waited = min(max(0.0, (server.wait_share or 0.0) - self._throttled_share), host.others)
        return waited + (host.stolen or 0.0) * self._servers_part_of_host

    @property
    def server_fill(self) -> float:
        """How full the server's cores were with its work; 1.0: it never waited for anything but a core.

        That is its own CPU, the interrupts that the kernel keeps apart from it, and what others took of it.
        """
        server, host = self.server, self.host
        if server is None:
            return 0.0
        interrupts = 0.0 if host is None else (host.interrupts or 0.0) * self._servers_part_of_host
        return (server.core_share + interrupts + self.server_lost) / server.cores

    @property
    def shared_fill(self) -> float:
        """How full the server and those on its cores made these: database and balancer; 0.0 without any."""
        if self.server is None or not self._beside_server:
            return 0.0
        interrupts = 0.0 if self.host is None else self.host.interrupts or 0.0
        beside = sum(one.core_share for one in self._beside_server)
        return (self.server.core_share + beside + interrupts + self.server_lost) / self.cores_shared

    @property
    def has_unclear_threads(self) -> bool:
        """Several threads of a worker were busy, so how many cores it could have filled isn't known."""
        server = self.server
        if server is None or self.cores_shared <= server.cores:
            return False
        if server.busiest_thread is None:
            return server.part > ONE_THREAD_AT_MOST
        return server.busiest_thread < ONE_THREAD_AT_LEAST * server.part

    def is_server_saturated(self, thresholds: Thresholds) -> bool:
        """By itself, or with database and balancer on the same cores if its own part isn't a small one."""
        return self.is_server_full(thresholds) or self._is_shared_core_full(thresholds)

    def is_server_full(self, thresholds: Thresholds) -> bool:
        """The server's own work filled its cores."""
        if self.server is None:
            return False
        if not self.has_unclear_threads:
            return self.server_fill >= self.saturated_line(thresholds)
        is_thread_full = (self.server.busiest_thread or 0.0) >= self.saturated_line(thresholds)
        is_all_full = self.server.core_share >= self.saturated_line(thresholds) * self.cores_shared
        return is_thread_full or is_all_full

    def saturated_line(self, thresholds: Thresholds) -> float:
        """At a stated rate the servers' cores needn't be full, and nearly full is no limit yet."""
        return thresholds.server_saturated if self.open_loop is None else thresholds.server_full

    def _is_shared_core_full(self, thresholds: Thresholds) -> bool:
        server = self.server
        if server is None or self.shared_fill < self.saturated_line(thresholds):
            return False
        together = server.core_share + sum(one.core_share for one in self._beside_server)
        return server.core_share >= thresholds.server_part_of_shared_cores * together

    @property
    def _beside_server(self) -> tuple[CpuUse, ...]:
        """Those of the server's side that work on its cores."""
        database = self.database if self.database_on_server_cores else None
        balancer = self.balancer if self.balancer_on_server_cores else None
        return tuple(one for one in (database, balancer) if one is not None)

    @property
    def _throttled_share(self) -> float:
        """Cores' worth of time in which a quota stopped the server."""
        stopped = [use.throttled_seconds for use in self.quotas if "server" in use.parties]
        return max(stopped, default=0.0) / self.window_seconds if self.window_seconds else 0.0

    @property
    def _servers_part_of_host(self) -> float:
        """Of what happened on the cores that it is placed on, what happened on those that it fills."""
        if self.server is None or self.host is None:
            return 0.0
        return min(1.0, self.server.cores / self.host.cores)
