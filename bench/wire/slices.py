"""What a load worker measured: one second at a time, and the sums of a run.

Slice k holds the requests that were answered or failed in [epoch + k, epoch + k + 1) seconds; slice -1 holds
all that came before the epoch. Slices that are over come in order, each once. The last one of a run is cut
short by its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

STALL_SECONDS = 0.25
"""The shortest time without a byte from the server that is counted as a stall."""

Pairs = tuple[tuple[int, int], ...]
"""A histogram of durations: (index, count) in rising order of the index, empty buckets left out.

bench/wire/histogram.py says which nanoseconds an index stands for.
"""


@dataclass(frozen=True, slots=True)
class Slice:
    """One second of one load worker.

    A latency runs from the send, or from the start of the connect where one had to be made for the request;
    with an open load it runs from the moment at which the request was due.

    Kinds of failure: refused, reset, timeout, closed_early, bad_status, bad_length, bad_body, bad_framing. A
    user's own locustfile has no bad_length and no bad_body; it has ``rejected`` (the file called the answer
    a failure) and ``other`` too.
    """

    k: int  # seconds since the epoch at the slice's begin
    requests: int  # the good ones
    failures: dict[str, int]  # {kind: count}
    bytes_received: int  # with the answers' heads; of a user's own locustfile, without them
    connects: int  # connections made; 0 for a user's own locustfile, which doesn't tell
    # Of these, made in place of one that was lost or that announced its end; 0 with keep_alive off.
    reconnects: int
    connections: int  # open at the slice's end; of a user's own locustfile, its users
    histogram: Pairs  # latency of the good requests
    failure_histogram: Pairs  # latency of the failed ones
    engine_cpu_seconds: float  # CPU of the engine's process; 0 without an engine
    locust_cpu_seconds: float  # CPU of Locust's process; a user's own requests are made there
    # The longest time between two looks at the sockets; of a user's own locustfile, how late at most the
    # process came to look at its clock.
    loop_lag_seconds_max: float
    send_lag: Pairs = ()  # open load: from due to sent
    service_histogram: Pairs = ()  # open load: from sent to answered, of the good requests
    backlog_max: int = 0  # open load: requests that were due and not sent, at most
    backlog_dropped: int = 0  # open load: requests that found the backlog full
    # How long what sends the requests was ready to run while others had its core; 0 where the system
    # doesn't tell.
    core_wait_seconds: float = 0.0
    # Of the engine's CPU, what went into looking for answers that weren't there yet: before it sleeps it
    # looks for 20 µs, as long as that pays.
    engine_busy_poll_seconds: float = 0.0
    # How long the slice really was, by the worker's monotonic clock: a run's first and last are cut short.
    seconds: float = 1.0
    # Answers of the right status and length, good or not, whose whole body was compared or hashed.
    bodies_checked: int = 0
    # How long the requests that failed by timeout had waited, as their latency is counted.
    unanswered: Pairs = ()
    unanswered_service: Pairs = ()  # open load: the same from sent on
    # How long the requests had waited that were owed an answer at the slice's end; a user's own locustfile
    # doesn't tell.
    in_flight: Pairs = ()
    in_flight_service: Pairs = ()  # open load: the same from sent on
    # Time in which not a byte came, on any connection, although the engine was there to take it. The longest
    # that ended in this slice or lasted to its end, counted from its own beginning;
    quiet_seconds_max: float = 0.0
    quiet_seconds_at_end: float = 0.0  # the one that lasts at the slice's end
    stalls: int = 0  # how many of at least STALL_SECONDS ended in this slice

    @property
    def engine_work_seconds(self) -> float:
        """The engine's CPU without what it spent looking for answers that weren't there yet."""
        return max(0.0, self.engine_cpu_seconds - self.engine_busy_poll_seconds)

    @property
    def answered(self) -> int:
        """Good and failed requests together, as Locust counts them."""
        return self.requests + sum(self.failures.values())


@dataclass(frozen=True, slots=True)
class Totals:
    """One load worker's whole run: the sums of its slices, histograms too, and what only the end shows.

    After a stop nothing new is sent; what is in flight is waited for, up to 1 s, or the requests' timeout
    if that is shorter.
    """

    worker: str
    requests: int
    failures: dict[str, int]
    sent: int  # requests that left, whatever became of them
    completed: int  # good and failed ones together
    in_flight_at_stop: int  # sent, and neither answered nor failed when the run ended
    bytes_received: int
    connects: int
    reconnects: int
    elsewhere: int = 0  # requests of a user's own locustfile whose URL is none of LoadSpec.counted_paths
    backlog_at_stop: int = 0  # open load: due and never sent
    backlog_dropped: int = 0
    backlog_max: int = 0  # the greatest of the slices'
    connections: int = 0  # of the last slice
    loop_lag_seconds_max: float = 0.0  # the greatest of the slices'
    engine_cpu_seconds: float = 0.0
    engine_busy_poll_seconds: float = 0.0
    locust_cpu_seconds: float = 0.0
    histogram: Pairs = ()
    failure_histogram: Pairs = ()
    send_lag: Pairs = ()
    service_histogram: Pairs = ()
    seconds: float = 0.0
    bodies_checked: int = 0
    unanswered: Pairs = ()
    unanswered_service: Pairs = ()
    quiet_seconds_max: float = 0.0  # the greatest of the slices'
    stalls: int = 0
    # Connections by what TLS agreed on, version and cipher; empty without it, and of clients that don't tell.
    tls: dict[str, int] = field(default_factory=dict)
    tls_resumed: int = 0  # of these, whose session was resumed

    @property
    def answered(self) -> int:
        """Good and failed requests together, as Locust counts them."""
        return self.requests + sum(self.failures.values())


@dataclass(frozen=True, slots=True)
class LocustTotals:
    """Locust's own statistics of a run, over all load workers."""

    requests: int  # the failed ones too
    failures: int
