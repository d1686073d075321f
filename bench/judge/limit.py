"""What held a run back, and whether the run says anything about its server.

A closed loop is as fast as its slowest part. ``judge`` names that part from core shares and link use, and
collects every reason for doubt as a typed value: its numbers, its remedy, and whether it voids the run.

*When the server and the load generator are both busy.* A server that has used up its cores could not have
answered more requests whoever asked: its throughput stands, and the limit is ``server_cpu``, even if a load
worker was at its own limit too. What a busy generator does spoil is latency, since answers wait in the
generator before their clock is stopped. So ``LoadWorkerAtLimit`` is then said and does not void the run. With
a server that had CPU to spare, the same worker means that more load would have been answered: the figure is
the generator's, and the run is void. None of the servers spins while idle, so a full core is a used one.

*When they share cores.* A core that is full because of two parties leaves neither at its full share. Server
and database on the same cores: a server that needs half the CPU per request still shows as faster, only
diluted, so the run counts (``DatabaseSharesCores`` says by how much it dilutes) unless the server's part is a
small one: then it is the database that was measured. Server and load on the same cores: the generator takes
from the server what its own client costs, which is no property of the server. That voids the run.

*Where the generator is part of what is measured* (Locust's own clients, or the load on the server's own
cores, as the paper had both) the figure is that of server and generator together, and never ranks a server.
So a generator at its limit, or one that takes the server's cores, is the finding there and voids nothing.

*At a stated rate* (open loop) nothing needs to hold the run back: a rate met with CPU to spare has the limit
``offered_rate``. One that is missed names who fell behind. A saturated server did, and so did one whose
answers took so long that nearly all connections waited for one (Little's law: the rate times the mean service
time): both are findings and count, with the latency that the waiting costs. Where nobody's CPU was used up
and other programs held the hosts up, who fell behind is not known, and the run is void. Otherwise connections
were free while requests were due: the generator sent too late, and the run is void.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from bench.results.result import Counts, DatabaseUse, Limit, OpenLoop, Reason
from bench.spec import Arrivals

LimitName = Literal[
    "server_cpu", "load_generator", "database", "network", "latency", "offered_rate", "none_found"
]


class Thresholds(msgspec.Struct, frozen=True):
    """Where the lines are drawn, and why there."""

    # The agent samples CPU in 10 ms ticks and the window's ends cut into them: a full core reads 0.97 to 1.0.
    server_saturated: float = 0.95
    # A client loop at 0.90 of its core in the median second is at 1.0 in the seconds of a burst.
    load_worker_at_limit: float = 0.90
    # As for the server.
    database_saturated: float = 0.95
    # Ethernet, IP and TCP headers take 5 to 6 % of a link that is full; the rest is acknowledgements.
    link_full: float = 0.90
    # Below this part of the CPU of shared cores, a server twice as fast changes throughput by less than 15 %.
    server_part_of_shared_cores: float = 0.25
    # With every party below it, all of them wait most of the time; between it and "full" nothing is proven.
    mostly_waiting: float = 0.60
    # A round trip that is half of the median latency halves what a server's speed can change.
    round_trip_part: float = 0.5
    # Linux delays an acknowledgement by 40 ms at least.
    delayed_ack_low_seconds: float = 0.038
    delayed_ack_high_seconds: float = 0.050
    # A timer's wait is about the same for all answers; waits for cores that are short vary.
    delayed_ack_alike: float = 1.25
    # One in a thousand: more than a rare reset, and p99.9 would be about failures.
    failure_share: float = 0.001
    # The database flushes its counters at most once a second a connection.
    database_counter_share: float = 0.02
    database_counter_count: int = 50
    # Below it, other programs change a throughput by no more than two runs differ anyway.
    others_said: float = 0.03
    # A fifth of the cores gone to others is more than the differences that people decide by.
    others_void: float = 0.20
    # A core with a tenth to spare had room for both.
    cores_full: float = 0.90
    # A median does not feel one slot in twenty.
    samples_missed_share: float = 0.05
    # Two runs differ as much anyway.
    rate_missed_share: float = 0.02
    # Answers under way at the window's ends.
    rate_missed_count: int = 2
    # Poisson arrivals of a window vary by the root of their number: three of it are exceeded once in 700.
    poisson_deviations: float = 3.0
    # With four of five connections waiting on average, bursts find none that is free.
    connections_busy: float = 0.80
    # Half of the latency halves what a server's speed can change.
    send_lag_part: float = 0.5


class CpuUse(msgspec.Struct, frozen=True):
    """CPU of a process tree in the window, in cores; ``cores`` is how many it may use at once, more than 0.

    That is the cores it is pinned to, or fewer if it can't fill them: a worker with one thread fills one.
    ``busiest_process`` is the core share of its busiest process, None where one may fill more than a core.
    """

    core_share: float
    cores: float
    busiest_process: float | None = None

    @property
    def part(self) -> float:
        """1.0: all that it may use."""
        return self.core_share / self.cores


class LoadUse(msgspec.Struct, frozen=True):
    """One load worker: its busier process's core share in the median second of the window.

    ``core_wait_share`` is the part of it in which that process was ready to run and others had its core.
    ``loop_lag_seconds`` is the longest time in which it didn't look at its connections.
    """

    worker: str
    core_share: float
    on_server_cores: bool = False
    loop_lag_seconds: float = 0.0
    core_wait_share: float = 0.0

    @property
    def busy_share(self) -> float:
        """1.0: it never had to wait for an answer, only for the core."""
        return self.core_share + self.core_wait_share


class LinkUse(msgspec.Struct, frozen=True):
    """Traffic between server and load in the window, against the slowest link on its way; None: not known."""

    bytes_per_second: float
    link_bytes_per_second: float | None = None
    round_trip_seconds: float | None = None


class HostUse(msgspec.Struct, frozen=True):
    """The cores that the server may use, in the window: ``cores`` of them.

    ``others`` is what programs that are none of ours took, ``busy`` what all took together, ``stolen`` what
    the hypervisor gave to another machine (None: not told); each in cores.
    """

    cores: float
    busy: float
    others: float
    stolen: float | None = None


class PidChange(msgspec.Struct, frozen=True):
    """Processes of the server that came or went in the window."""

    appeared: tuple[int, ...] = ()
    vanished: tuple[int, ...] = ()


class RunFigures(msgspec.Struct, frozen=True):
    """What is known of one run. None: could not be had.

    ``failures`` counts by kind, in the window, as ``requests`` (answered in full) does.
    ``shared_cores`` is how many cores the server shares with the parties marked ``on_server_cores``; None: as
    many as it may use.
    ``expected_transactions_per_request`` is what the endpoint does by its code; None if it uses no database.
    ``open_loop`` is None in closed loop. ``generator_is_measured``: the load is made as the paper made it.
    """

    requests: int
    server: CpuUse | None
    load: tuple[LoadUse, ...]
    link: LinkUse | None = None
    host: HostUse | None = None
    load_hosts: dict[str, HostUse] = {}
    database: CpuUse | None = None
    database_on_server_cores: bool = False
    database_is_foreign: bool = False
    shared_cores: float | None = None
    median_latency_seconds: float | None = None
    p90_latency_seconds: float | None = None
    p99_latency_seconds: float | None = None
    connections: int | None = None
    failures: dict[str, int] = {}
    processes: PidChange = PidChange()
    counts: Counts | None = None
    database_use: DatabaseUse | None = None
    expected_transactions_per_request: float | None = None
    lost_workers: tuple[str, ...] = ()
    samples_complete: bool = True
    samples_missed_share: float = 0.0
    open_loop: OpenLoop | None = None
    window_seconds: float = 0.0
    arrivals: Arrivals = "constant"
    generator_is_measured: bool = False


# ---------------------------------------------------------------- reasons


class NothingAnswered(msgspec.Struct, frozen=True, tag=True):
    """Not one request was answered in full."""

    failures: int
    invalidates: bool = True
    remedy: str = "See the server's log and the kinds of failure"

    @property
    def text(self) -> str:
        return f"no request was answered in full, {self.failures} failed"


class LoadWorkerAtLimit(msgspec.Struct, frozen=True, tag=True):
    """A load worker used its core up. Voids the run unless the server was saturated too."""

    worker: str
    core_share: float
    invalidates: bool
    remedy: str = "Add load hosts, or load workers where cores are free"
    core_wait_share: float = 0.0
    server_saturated: bool = True

    @property
    def text(self) -> str:
        spoiled = ""
        if not self.invalidates:
            spoiled = (
                "; the server was saturated too, but latency includes waiting here"
                if self.server_saturated
                else "; the server had CPU to spare"
            )
        wait = self.core_wait_share
        waited = f" and waited for it for {wait:.2f} s" if wait >= 0.005 else ""
        used = f"load worker {self.worker} used {self.core_share:.2f} of its core"
        return f"{used}{waited} in the median second{spoiled}"


class LoadSharesCores(msgspec.Struct, frozen=True, tag=True):
    """Server and load generator used up the same cores."""

    server_share: float
    load_share: float
    cores: float
    invalidates: bool = True
    remedy: str = "Put the load on another host, or on other cores of this one (asgibench_cores)"

    @property
    def text(self) -> str:
        return (
            f"the load generator took {self.load_share:.2f} of the {self.cores:g} cores it shares "
            f"with the server, which had {self.server_share:.2f}"
        )


class DatabaseSharesCores(msgspec.Struct, frozen=True, tag=True):
    """Server and database used up the same cores: differences between servers show diluted."""

    server_share: float
    database_share: float
    cores: float
    invalidates: bool = False
    remedy: str = "Put the database on a host of its own (group database)"

    @property
    def server_part(self) -> float:
        return self.server_share / (self.server_share + self.database_share)

    @property
    def text(self) -> str:
        return (
            f"the database took {self.database_share:.2f} of the {self.cores:g} cores it shares "
            f"with the server, which had {self.server_share:.2f}: "
            f"{self.server_part:.0%} of what a request costs is the server"
        )


class DatabaseAtLimit(msgspec.Struct, frozen=True, tag=True):
    """The database was saturated and the server was not."""

    core_share: float
    cores: float
    invalidates: bool = True
    remedy: str = "Give the database more cores, or a host of its own (group database)"

    @property
    def text(self) -> str:
        return f"the database used {self.core_share:.2f} of {self.cores:g} cores"


class NetworkAtLimit(msgspec.Struct, frozen=True, tag=True):
    """The link was full. Voids the run unless the server was saturated too."""

    bytes_per_second: float
    link_bytes_per_second: float
    invalidates: bool
    remedy: str = "Use a faster link, or more load hosts on links of their own"

    @property
    def text(self) -> str:
        part = self.bytes_per_second / self.link_bytes_per_second
        return f"{self.bytes_per_second / 1e6:.1f} MB/s went over the link, {part:.0%} of its speed"


class RoundTripDominates(msgspec.Struct, frozen=True, tag=True):
    """Requests spent most of their time under way."""

    round_trip_seconds: float
    median_latency_seconds: float
    invalidates: bool = True
    remedy: str = "Use more connections, or load hosts nearer to the server"

    @property
    def text(self) -> str:
        return (
            f"the network's round trip of {self.round_trip_seconds * 1e3:.2f} ms is "
            f"{self.round_trip_seconds / self.median_latency_seconds:.0%} of the median latency"
        )


class DelayedAckSuspected(msgspec.Struct, frozen=True, tag=True):
    """The median latency is that of Nagle's algorithm against delayed acknowledgements, with CPU to spare."""

    median_latency_seconds: float
    server_part: float
    invalidates: bool = False
    remedy: str = (
        "See whether the server sets TCP_NODELAY; this is a property of platform and version, not of speed"
    )

    @property
    def text(self) -> str:
        return (
            f"a median latency of {self.median_latency_seconds * 1e3:.1f} ms with {self.server_part:.0%} "
            "of the server's CPU used is the mark of Nagle's algorithm waiting for delayed acknowledgements"
        )


class ServerWorkersUneven(msgspec.Struct, frozen=True, tag=True):
    """One of the server's workers was saturated while others had CPU to spare."""

    busiest_process: float
    core_share: float
    cores: float
    invalidates: bool = False
    remedy: str = "Use more connections: each stays with the worker that accepted it"

    @property
    def text(self) -> str:
        return (
            f"the server's busiest process used {self.busiest_process:.2f} of a core, "
            f"all of them together {self.core_share:.2f} of {self.cores:g}"
        )


class ProcessesChanged(msgspec.Struct, frozen=True, tag=True):
    """The server's processes are not those that it started with."""

    appeared: tuple[int, ...]
    vanished: tuple[int, ...]
    invalidates: bool = True
    remedy: str = "See the server's log: a worker died or was replaced"

    @property
    def text(self) -> str:
        return f"in the window {len(self.vanished)} server processes ended and {len(self.appeared)} appeared"


class Failures(msgspec.Struct, frozen=True, tag=True):
    """Requests of one kind of failure. ``share`` is of all requests in the window."""

    kind: str
    count: int
    share: float
    invalidates: bool
    remedy: str = "See the server's log"

    @property
    def text(self) -> str:
        return f"{self.count} requests failed ({self.kind}), {self.share:.2%} of all"


class CountsDisagree(msgspec.Struct, frozen=True, tag=True):
    """The parties counted different numbers of answers. None: did not count."""

    engine: int
    server: int | None
    locust: int
    spool: int | None
    in_flight_at_stop: int
    invalidates: bool = True
    remedy: str = "Measure again; if it stays, something else talks to this server, or answers were lost"

    @property
    def text(self) -> str:
        others = f"locust {self.locust}, server {self.server}, spool {self.spool}"
        return f"answers were counted differently: engine {self.engine}, {others}"


class DatabaseCountersDisagree(msgspec.Struct, frozen=True, tag=True):
    """The database did another number of transactions than the requests need.

    Fewer void the run: requests were answered without it. More can be another user of the same database.
    """

    transactions: int
    expected: int
    invalidates: bool
    remedy: str = "See that no cache answers and that nobody else uses this database"

    @property
    def text(self) -> str:
        return f"the database counted {self.transactions} transactions, the requests need {self.expected}"


class WorkerLost(msgspec.Struct, frozen=True, tag=True):
    """A load worker went away during the run."""

    worker: str
    invalidates: bool = True
    remedy: str = "See the load host's log; this run is to be repeated"

    @property
    def text(self) -> str:
        return f"load worker {self.worker} was lost during the run"


class OthersOnServerCores(msgspec.Struct, frozen=True, tag=True):
    """Programs that are none of ours ran on the server's cores. Voids the run if the cores were full."""

    others: float
    cores: float
    invalidates: bool
    remedy: str = "Stop what else runs on the server's host, or keep it off these cores"

    @property
    def text(self) -> str:
        return f"other programs took {self.others:.2f} of the {self.cores:g} cores that the server may use"


class OthersOnLoadCores(msgspec.Struct, frozen=True, tag=True):
    """Programs that are none of ours held a load host up. Voids the run unless the server was saturated."""

    host: str
    others: float
    cores: float
    invalidates: bool
    remedy: str = "Stop what else runs on the load host, or keep it off these cores"

    @property
    def text(self) -> str:
        return f"other programs took {self.others:.2f} of the {self.cores:g} cores of the load on {self.host}"


class CpuStolen(msgspec.Struct, frozen=True, tag=True):
    """The hypervisor gave the server's cores to another machine for part of the window."""

    stolen: float
    cores: float
    invalidates: bool
    remedy: str = "Use a machine whose cores are its own, or repeat at another hour"

    @property
    def text(self) -> str:
        return f"the hypervisor took {self.stolen:.2f} of the server's {self.cores:g} cores away"


class CpuUnknown(msgspec.Struct, frozen=True, tag=True):
    """Nobody sampled this party: the limit is named without it."""

    party: str
    invalidates: bool = False
    remedy: str = "See the agent's log on that host"

    @property
    def text(self) -> str:
        return f"the CPU of the {self.party} is not known"


class SamplesIncomplete(msgspec.Struct, frozen=True, tag=True):
    """The agent was cut off, or lost slots of its schedule."""

    cut_off: bool
    missed_share: float
    invalidates: bool = False
    remedy: str = "See the agent's log on the server's host; leave it a core that is not full"

    @property
    def text(self) -> str:
        cut = "the samples were cut off" if self.cut_off else "the samples have gaps"
        return f"{cut}, {self.missed_share:.0%} of the slots are missing"


class ServerBehindRate(msgspec.Struct, frozen=True, tag=True):
    """The server answered fewer requests than were due: its latency is that of an overload."""

    offered_rate_per_second: float
    achieved_rate_per_second: float
    at_limit: str
    invalidates: bool = False
    remedy: str = "State a lower rate to see the server's latency below its limit"

    @property
    def text(self) -> str:
        return f"{_missed_rate(self)}: the server did not keep up, {self.at_limit}"


class LoadBehindRate(msgspec.Struct, frozen=True, tag=True):
    """The load generator sent fewer requests than were due, or too late, while the server could have more."""

    offered_rate_per_second: float
    achieved_rate_per_second: float
    at_limit: str
    invalidates: bool = True
    remedy: str = "Add load hosts or load workers, or state a lower rate"

    @property
    def text(self) -> str:
        return f"{_missed_rate(self)}: the load generator did not keep up, {self.at_limit}"


class RateNotReached(msgspec.Struct, frozen=True, tag=True):
    """A party beside server and load generator was at its limit, which is told by a reason of its own."""

    offered_rate_per_second: float
    achieved_rate_per_second: float
    party: str
    invalidates: bool = True
    remedy: str = "State a lower rate, or see to what was at its limit"

    @property
    def text(self) -> str:
        return f"{_missed_rate(self)}: the {self.party} was at its limit"


class RateSpoiltByOthers(msgspec.Struct, frozen=True, tag=True):
    """A stated rate was missed by nobody's lack of CPU, while other programs had a good part of the cores."""

    offered_rate_per_second: float
    achieved_rate_per_second: float
    others_share: float
    invalidates: bool = True
    remedy: str = "Stop what else runs on these hosts, or keep it off these cores"

    @property
    def text(self) -> str:
        return f"{_missed_rate(self)}: other programs took {self.others_share:.0%} of a party's cores"


class SentLate(msgspec.Struct, frozen=True, tag=True):
    """A good part of a stated rate's latency was the load generator's, which was held up."""

    worker: str
    loop_lag_seconds: float
    send_lag_seconds: float
    p99_latency_seconds: float
    invalidates: bool = False
    remedy: str = "Compare by the service time, and give the load generator cores of its own"

    @property
    def text(self) -> str:
        return (
            f"of a p99 latency of {self.p99_latency_seconds * 1e3:.1f} ms requests may have waited "
            f"{self.send_lag_seconds * 1e3:.1f} ms to be sent: load worker {self.worker} was held up for "
            f"{self.loop_lag_seconds * 1e3:.1f} ms at most"
        )


def _missed_rate(
    reason: ServerBehindRate | LoadBehindRate | RateNotReached | RateSpoiltByOthers,
) -> str:
    return (
        f"of {reason.offered_rate_per_second:,.4g} requests/s offered "
        f"{reason.achieved_rate_per_second:,.4g} were answered"
    )


TypedReason = (
    NothingAnswered
    | LoadWorkerAtLimit
    | LoadSharesCores
    | DatabaseSharesCores
    | DatabaseAtLimit
    | NetworkAtLimit
    | RoundTripDominates
    | DelayedAckSuspected
    | ServerWorkersUneven
    | ProcessesChanged
    | Failures
    | CountsDisagree
    | DatabaseCountersDisagree
    | WorkerLost
    | OthersOnServerCores
    | OthersOnLoadCores
    | CpuStolen
    | CpuUnknown
    | SamplesIncomplete
    | ServerBehindRate
    | LoadBehindRate
    | RateNotReached
    | RateSpoiltByOthers
    | SentLate
)


MACHINE_REASONS = frozenset(
    kind.__name__ for kind in (OthersOnServerCores, OthersOnLoadCores, CpuStolen, RateSpoiltByOthers)
)
"""Codes of what the machine did and not we: such a run is worth another try."""


def is_spoilt_by_machine(reasons: Sequence[Reason]) -> bool:
    """The run is void, and only because of what else its hosts did meanwhile."""
    void = {reason.code for reason in reasons if reason.invalidates}
    return bool(void) and void <= MACHINE_REASONS


# ---------------------------------------------------------------- the judgement


class Evidence(msgspec.Struct, frozen=True):
    """One figure that the limit was named from. ``share`` 1.0: all that there is; None: not known."""

    party: str
    used: float
    available: float | None
    share: float | None
    unit: Literal["cores", "bytes_per_second", "seconds"]

    @property
    def text(self) -> str:
        if self.unit == "seconds":
            return f"{self.party} {self.used * 1e3:.2f} ms"
        if self.unit == "bytes_per_second":
            of = "of an unknown link" if self.available is None else f"of {self.available / 1e6:.0f} MB/s"
            return f"{self.party} {self.used / 1e6:.1f} MB/s {of}"
        return f"{self.party} {self.used:.2f} of {self.available:g} cores"


class Judgement(msgspec.Struct, frozen=True):
    """What held the run back, on what evidence, and whether the run speaks of its server."""

    limit: LimitName
    evidence: tuple[Evidence, ...]
    reasons: tuple[TypedReason, ...]

    @property
    def valid(self) -> bool:
        return not any(reason.invalidates for reason in self.reasons)

    def as_limit(self) -> Limit:
        return Limit(self.limit, "; ".join(evidence.text for evidence in self.evidence))

    def as_reasons(self) -> tuple[Reason, ...]:
        return tuple(as_reason(reason) for reason in self.reasons)


def as_reason(reason: TypedReason) -> Reason:
    """As results keep it; ``code`` is the reason's name."""
    return Reason(type(reason).__name__, reason.text, reason.remedy, reason.invalidates)


def judge(figures: RunFigures, thresholds: Thresholds | None = None) -> Judgement:
    """Name the limit of one run and collect the reasons that speak against it."""
    lines = Thresholds() if thresholds is None else thresholds
    limits = tuple(_limit_reasons(figures, lines))
    limits += tuple(_rate_reasons(figures, lines, limits))
    name = _limit_name(figures, lines, limits)
    return Judgement(name, tuple(_evidence(figures)), (*limits, *_doubts(figures, lines)))


def is_server_saturated(figures: RunFigures, thresholds: Thresholds) -> bool:
    """By itself, or together with the database on the same cores if the server's part is not a small one."""
    server, database = figures.server, figures.database
    if server is None:
        return False
    if server.part >= thresholds.server_saturated:
        return True
    if database is None or not figures.database_on_server_cores:
        return False
    together = server.core_share + database.core_share
    return (
        together >= thresholds.server_saturated * _shared_cores(figures, server)
        and server.core_share >= thresholds.server_part_of_shared_cores * together
    )


def _shared_cores(figures: RunFigures, server: CpuUse) -> float:
    return server.cores if figures.shared_cores is None else figures.shared_cores


def _limit_reasons(figures: RunFigures, lines: Thresholds) -> Iterator[TypedReason]:
    """The parties that were at their limit besides the server, the first named first."""
    saturated = is_server_saturated(figures, lines)
    for worker in figures.load:
        if worker.busy_share >= lines.load_worker_at_limit:
            yield LoadWorkerAtLimit(
                worker.worker,
                worker.core_share,
                invalidates=not saturated and not figures.generator_is_measured,
                core_wait_share=worker.core_wait_share,
                server_saturated=saturated,
            )
    if not saturated:
        yield from _contention(figures, lines)
    link = figures.link
    if link is not None and link.link_bytes_per_second is not None:
        full = link.bytes_per_second >= lines.link_full * link.link_bytes_per_second
        if full:
            yield NetworkAtLimit(link.bytes_per_second, link.link_bytes_per_second, invalidates=not saturated)
    yield from _database_limit(figures, lines, saturated)
    if not saturated:
        yield from _uneven_workers(figures, lines)
        yield from _waiting(figures, lines)


def _contention(figures: RunFigures, lines: Thresholds) -> Iterator[TypedReason]:
    """The server's cores are full, and the load generator is among those who filled them."""
    server = figures.server
    load_share = sum(worker.core_share for worker in figures.load if worker.on_server_cores)
    if server is None or load_share == 0.0:
        return
    shares_database = figures.database is not None and figures.database_on_server_cores
    database_share = figures.database.core_share if figures.database is not None and shares_database else 0.0
    cores = _shared_cores(figures, server)
    if server.core_share + load_share + database_share >= lines.server_saturated * cores:
        yield LoadSharesCores(
            server.core_share, load_share, cores, invalidates=not figures.generator_is_measured
        )


def _database_limit(figures: RunFigures, lines: Thresholds, saturated: bool) -> Iterator[TypedReason]:
    server, database = figures.server, figures.database
    if database is None:
        return
    if not figures.database_on_server_cores or server is None:
        if database.part >= lines.database_saturated and not saturated:
            yield DatabaseAtLimit(database.core_share, database.cores)
        return
    cores = _shared_cores(figures, server)
    if server.core_share + database.core_share < lines.server_saturated * cores:
        return
    if saturated:
        yield DatabaseSharesCores(server.core_share, database.core_share, cores)
    else:
        yield DatabaseAtLimit(database.core_share, cores)


def _uneven_workers(figures: RunFigures, lines: Thresholds) -> Iterator[TypedReason]:
    server = figures.server
    busiest = None if server is None else server.busiest_process
    if server is not None and busiest is not None and busiest >= lines.server_saturated:
        yield ServerWorkersUneven(busiest, server.core_share, server.cores)


def _waiting(figures: RunFigures, lines: Thresholds) -> Iterator[TypedReason]:
    """Latency that isn't work."""
    latency, link, server = figures.median_latency_seconds, figures.link, figures.server
    if latency is None or server is None:
        return
    # Answers that wait in a busy generator have any latency: 50 connections at 1,250 requests/s have 40 ms.
    is_generator_busy = any(worker.busy_share >= lines.load_worker_at_limit for worker in figures.load)
    is_generator_busy = is_generator_busy or any(_contention(figures, lines))
    nine_in_ten = figures.p90_latency_seconds
    is_alike = nine_in_ten is None or nine_in_ten <= lines.delayed_ack_alike * latency
    is_forty = lines.delayed_ack_low_seconds <= latency <= lines.delayed_ack_high_seconds
    if is_forty and is_alike and server.part < lines.mostly_waiting and not is_generator_busy:
        yield DelayedAckSuspected(latency, server.part)
    round_trip = None if link is None else link.round_trip_seconds
    # At a stated rate a round trip costs latency and no throughput.
    if figures.open_loop is None and round_trip is not None and round_trip >= lines.round_trip_part * latency:
        yield RoundTripDominates(round_trip, latency)


def _is_rate_missed(figures: RunFigures, lines: Thresholds) -> bool:
    if figures.open_loop is None:
        return False
    due = figures.open_loop.offered_rate_per_second * figures.window_seconds
    chance = lines.poisson_deviations * math.sqrt(due) if figures.arrivals == "poisson" else 0.0
    # Failures have a reason of their own.
    answered = figures.requests + sum(figures.failures.values())
    return due - answered > max(lines.rate_missed_share * due, lines.rate_missed_count, chance)


def _rate_reasons(
    figures: RunFigures, lines: Thresholds, limits: Sequence[TypedReason]
) -> Iterator[TypedReason]:
    """Who fell behind a stated rate, if it was missed."""
    found = figures.open_loop
    if found is None or not _is_rate_missed(figures, lines):
        return
    rates = (found.offered_rate_per_second, found.achieved_rate_per_second)
    server = figures.server
    if server is not None and is_server_saturated(figures, lines):
        yield ServerBehindRate(*rates, f"using {server.core_share:.2f} of {server.cores:g} cores")
    elif any(isinstance(reason, (LoadWorkerAtLimit, LoadSharesCores)) for reason in limits):
        yield LoadBehindRate(*rates, "its cores were used up")
    elif any(isinstance(reason, DatabaseAtLimit) for reason in limits):
        yield RateNotReached(*rates, "database")
    elif any(isinstance(reason, NetworkAtLimit) for reason in limits):
        yield RateNotReached(*rates, "network")
    else:
        yield _behind_with_cpu_to_spare(figures, lines, found)


def _behind_with_cpu_to_spare(
    figures: RunFigures, lines: Thresholds, found: OpenLoop
) -> ServerBehindRate | LoadBehindRate | RateSpoiltByOthers:
    rates = (found.offered_rate_per_second, found.achieved_rate_per_second)
    others, waiting = _others_share(figures), _busy_connections(figures)
    is_waiting = waiting >= lines.connections_busy * (figures.connections or math.inf)
    # A server that is slow without using CPU is slow beside a few other programs too; a late generator isn't.
    if others >= (lines.others_void if is_waiting else lines.others_said):
        return RateSpoiltByOthers(*rates, others)
    if is_waiting:
        return ServerBehindRate(
            *rates, f"{waiting:.0f} of {figures.connections} connections waited for its answers"
        )
    lag = found.send_lag_seconds
    late = "" if lag is None else f" ({lag.p99 * 1e3:.1f} ms at p99)"
    return LoadBehindRate(*rates, f"it sent late{late} while connections were free")


def _others_share(figures: RunFigures) -> float:
    """Of the cores of the party that they took most from, stolen time included."""
    hosts = [*figures.load_hosts.values(), *([] if figures.host is None else [figures.host])]
    return max(((host.others + (host.stolen or 0.0)) / host.cores for host in hosts), default=0.0)


def _busy_connections(figures: RunFigures) -> float:
    """On average, by Little's law."""
    found = figures.open_loop
    if found is None or found.service_latency_seconds is None:
        return 0.0
    return found.achieved_rate_per_second * found.service_latency_seconds.mean


def _limit_name(figures: RunFigures, lines: Thresholds, limits: Sequence[TypedReason]) -> LimitName:
    """Of what voids a run the generator comes first: while it is at its limit, no other figure holds."""
    if is_server_saturated(figures, lines):
        return "server_cpu"
    named: tuple[tuple[LimitName, tuple[type[TypedReason], ...]], ...] = (
        ("load_generator", (LoadWorkerAtLimit, LoadSharesCores, LoadBehindRate)),
        ("network", (NetworkAtLimit,)),
        ("database", (DatabaseAtLimit,)),
        ("network", (RoundTripDominates,)),
        ("server_cpu", (ServerWorkersUneven,)),
        ("latency", (ServerBehindRate, DelayedAckSuspected)),
    )
    for name, kinds in named:
        if any(isinstance(reason, kinds) for reason in limits):
            return name
    if figures.open_loop is not None:
        return "none_found" if _is_rate_missed(figures, lines) else "offered_rate"
    return "latency" if figures.requests and _is_waiting(figures, lines) else "none_found"


def _is_waiting(figures: RunFigures, lines: Thresholds) -> bool:
    """Every party is known, and none works most of the time, nor is kept from it by other programs."""
    if figures.server is None or not figures.load or _others_share(figures) >= lines.others_void:
        return False
    database_part = 0.0 if figures.database is None else figures.database.part
    busiest = max(figures.server.part, database_part, *(worker.busy_share for worker in figures.load))
    return max(busiest, _shared_part(figures, figures.server)) < lines.mostly_waiting


def _shared_part(figures: RunFigures, server: CpuUse) -> float:
    """How full the server's cores are by the load and the server together; 0 where the load has its own."""
    load = sum(worker.core_share for worker in figures.load if worker.on_server_cores)
    return (server.core_share + load) / _shared_cores(figures, server) if load else 0.0


def _evidence(figures: RunFigures) -> Iterator[Evidence]:
    if figures.server is not None:
        yield _cores("server", figures.server)
    if figures.load:
        busiest = max(figures.load, key=lambda worker: worker.core_share)
        yield _cores(f"busiest load worker ({busiest.worker})", CpuUse(busiest.core_share, 1.0))
    if figures.database is not None:
        yield _cores("database", figures.database)
    link = figures.link
    if link is not None:
        speed = link.link_bytes_per_second
        share = None if speed is None else link.bytes_per_second / speed
        yield Evidence("network", link.bytes_per_second, speed, share, "bytes_per_second")
    if figures.median_latency_seconds is not None:
        yield Evidence("median latency", figures.median_latency_seconds, None, None, "seconds")


def _cores(party: str, use: CpuUse) -> Evidence:
    return Evidence(party, use.core_share, use.cores, use.part, "cores")


# ---------------------------------------------------------------- doubts


def _doubts(figures: RunFigures, lines: Thresholds) -> Iterator[TypedReason]:
    """What speaks against the run whatever its limit was."""
    if not figures.requests:
        yield NothingAnswered(sum(figures.failures.values()))
    yield from map(WorkerLost, figures.lost_workers)
    if figures.processes.appeared or figures.processes.vanished:
        yield ProcessesChanged(figures.processes.appeared, figures.processes.vanished)
    yield from _others(figures, lines)
    yield from _failures(figures, lines)
    if figures.counts is not None:
        yield from _counts(figures.counts)
    yield from _database_counters(figures, lines)
    yield from _late_sending(figures, lines)
    if figures.server is None:
        yield CpuUnknown("server")
    if figures.expected_transactions_per_request is not None and figures.database is None:
        if figures.database_is_foreign:
            yield CpuUnknown("database", remedy="It is not ours to sample: see its own monitoring")
        else:
            yield CpuUnknown("database")
    if not figures.samples_complete or figures.samples_missed_share > lines.samples_missed_share:
        yield SamplesIncomplete(not figures.samples_complete, figures.samples_missed_share)


def _others(figures: RunFigures, lines: Thresholds) -> Iterator[TypedReason]:
    for name, load_host in figures.load_hosts.items():
        if load_host.others >= lines.others_said * load_host.cores:
            is_void = (
                load_host.others >= lines.others_void * load_host.cores
                and load_host.busy >= lines.cores_full * load_host.cores
                and not is_server_saturated(figures, lines)
            )
            yield OthersOnLoadCores(name, load_host.others, load_host.cores, invalidates=is_void)
    host = figures.host
    if host is None:
        return
    stolen = host.stolen or 0.0
    is_full = host.busy + stolen >= lines.cores_full * host.cores
    if host.others >= lines.others_said * host.cores:
        is_void = is_full and host.others >= lines.others_void * host.cores
        yield OthersOnServerCores(host.others, host.cores, invalidates=is_void)
    if stolen >= lines.others_said * host.cores:
        yield CpuStolen(stolen, host.cores, invalidates=stolen >= lines.others_void * host.cores)


def _failures(figures: RunFigures, lines: Thresholds) -> Iterator[TypedReason]:
    failed = sum(figures.failures.values())
    total = figures.requests + failed
    for kind, count in sorted(figures.failures.items()):
        if count:
            yield Failures(kind, count, count / total, invalidates=failed > lines.failure_share * total)


def _late_sending(figures: RunFigures, lines: Thresholds) -> Iterator[TypedReason]:
    """A wait for a busy connection is the server's; one that a worker's own pauses explain is not."""
    found, latency = figures.open_loop, figures.p99_latency_seconds
    if found is None or found.send_lag_seconds is None or latency is None or not figures.load:
        return
    worker = max(figures.load, key=lambda one: one.loop_lag_seconds)
    lag = found.send_lag_seconds.p99
    if min(lag, worker.loop_lag_seconds) >= lines.send_lag_part * latency:
        yield SentLate(worker.worker, worker.loop_lag_seconds, lag, latency)


def _counts(counts: Counts) -> Iterator[TypedReason]:
    """The server may have answered what was still under way when the load stopped."""
    same = counts.locust == counts.engine and counts.spool in (None, counts.engine)
    if counts.server is not None:
        same = same and 0 <= counts.server - counts.engine <= counts.in_flight_at_stop
    if not same:
        yield CountsDisagree(
            counts.engine, counts.server, counts.locust, counts.spool, counts.in_flight_at_stop
        )


def _database_counters(figures: RunFigures, lines: Thresholds) -> Iterator[TypedReason]:
    use, each = figures.database_use, figures.expected_transactions_per_request
    if use is None or each is None:
        return
    expected = round(use.requests * each)
    allowed = max(lines.database_counter_count, lines.database_counter_share * expected)
    if abs(use.transactions - expected) > allowed:
        yield DatabaseCountersDisagree(use.transactions, expected, invalidates=use.transactions < expected)
