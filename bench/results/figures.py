"""The figures that a run's result is made of. None: it could not be measured, and a reason may say why."""

from __future__ import annotations

import msgspec

from bench.results.latency import Latency


class Bytes(msgspec.Struct, frozen=True):
    """Memory of the server's whole process tree, summed; of a cell medians, and the greatest peak."""

    idle: int | None  # before the load
    median: int | None  # in the window
    peak: int | None  # at most, in the window
    after: int | None = None  # after the load


class Second(msgspec.Struct, frozen=True):
    """One second of a run, the warm-up's included."""

    second: int  # from the start of the load, the first is 0
    in_window: bool  # of the measured window; before it is the warm-up
    requests: int  # answered in full
    failures: int  # all kinds together
    p50_seconds: float | None  # latency; None where nothing was answered
    p99_seconds: float | None  # likewise
    server_rss_bytes: int | None  # the second's last reading
    bytes_received: int | None = None  # by the load workers; None in older results


class MemoryPoint(msgspec.Struct, frozen=True):
    """The server's memory at one moment of a run."""

    seconds: float  # from the start of the load; negative while idle before it
    rss_bytes: int  # of the whole process tree


class LoadWorker(msgspec.Struct, frozen=True):
    """One load worker in the window. Of a core share, 1.0 is a core in full; a median is over seconds."""

    name: str  # host/number
    host: str
    requests: int  # answered in the window, failures included
    engine_core_share: float  # work of the process that sends the requests
    locust_core_share: float  # of the Locust worker beside it
    loop_lag_seconds_max: float  # the longest time in which it didn't look at its connections
    connects: int  # connections made; 0 for a user's own locustfile, which doesn't tell
    reconnects: int  # of these, in place of one that was lost or announced its end
    bytes_received: int
    engine_core_share_median: float = 0.0
    locust_core_share_median: float = 0.0
    core_wait_share_median: float = 0.0  # ready to run while others had its core; 0: not known
    # What the engine spent beside its work looking for answers that weren't there yet: CPU that more
    # load would have had.
    engine_busy_poll_share: float = 0.0

    @property
    def work_share(self) -> float:
        """How busy the worker was in the window: 1.0 is a core with no time left for more requests.

        The sum of its two processes' work in their median seconds: the engine and its Locust worker are
        pinned to the same core, so together they fill it, although either alone may look far from full.
        (Locust's own clients are one process, pinned or not.) What the engine spent polling is left out,
        since more load would have had it; ``cpu_share`` has it. The median leaves out the window's
        exceptional seconds. Results from before the medians were kept have the mean.
        """
        median = self.engine_core_share_median + self.locust_core_share_median
        return median or self.engine_core_share + self.locust_core_share

    @property
    def cpu_share(self) -> float:
        """All CPU that both processes took, polling included: what other programs could not have."""
        return self.engine_core_share + self.engine_busy_poll_share + self.locust_core_share


class TreeCpu(msgspec.Struct, frozen=True):
    """CPU of a process tree in the window."""

    cpu_seconds: float
    core_share: float  # cores used on average
    cores: int  # how many it could use
    processes: int  # at the window's start
    busiest_thread: float | None = None  # core share of the thread that used most; None: not known
    # Cores' worth of time in which threads were ready to run and others had the core; None: not known.
    wait_share: float | None = None


class NetworkUse(msgspec.Struct, frozen=True):
    """Traffic of a host's interfaces in the window, loopback left out."""

    sent_bytes_per_second: float
    received_bytes_per_second: float
    sent_packets_per_second: float | None = None  # None: not known
    received_packets_per_second: float | None = None  # likewise


class Counts(msgspec.Struct, frozen=True):
    """Requests answered in the whole run (warm-up and all), as each party counted them."""

    engine: int  # by the load workers' engines
    server: int | None  # by the app itself; None: it can't count these requests
    locust: int  # by Locust's own statistics
    spool: int | None  # by the load workers' own files; None: it wasn't read
    in_flight_at_stop: int = 0  # under way when the load stopped: the server may have counted them


class DatabaseCounters(msgspec.Struct, frozen=True):
    """pg_stat_database of the benchmark's database: counts since its start."""

    xact_commit: int
    xact_rollback: int
    tup_returned: int
    tup_fetched: int
    own_transactions: int  # those that the reading itself made
    server_version: str


class DatabaseUse(msgspec.Struct, frozen=True):
    """pg_stat_database before and after the run, against the requests served."""

    transactions: int  # committed in the run
    requests: int  # answered in the run
    transactions_per_request: float
    rows_fetched: int  # in the run


class OpenLoop(msgspec.Struct, frozen=True):
    """A run at a stated rate, in the window; over a cell's runs, medians, and the greatest of the backlog.

    ``latency_seconds`` of such a run is from the moment a request was due. The backlog holds requests that
    were due while all connections were busy.
    """

    offered_rate_per_second: float  # requests that were due
    achieved_rate_per_second: float  # requests that were answered
    service_latency_seconds: Latency | None  # from sent to answered
    send_lag_seconds: Latency | None  # from due to sent
    backlog_max: int  # requests
    backlog_dropped: int  # requests that found it full: they were not sent, and are in no latency
    # What the same cell reached in closed loop when its rate was fixed; a share is of it. None: not known.
    own_maximum_per_second: float | None = None
    # The load was ended so long after its start, as the rate could not be met: the window is the end of this
    # time. None: it was offered as long as planned. Of a cell, the shortest.
    ended_after_seconds: float | None = None


class Timing(msgspec.Struct, frozen=True):
    """Where a run's seconds went."""

    start_seconds: float  # until the server was ready
    rest_seconds: float  # idle, before and after the load
    warmup_seconds: float
    window_seconds: float
    stop_seconds: float  # until all was stopped and brought home
    total_seconds: float
    overhead_seconds: float  # all that is neither warm-up, window nor planned rest
