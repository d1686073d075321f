"""What was measured: a slice in the making, the slices that are over, and the sums of a run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.wire.histogram import index_of
from bench.wire.slices import STALL_SECONDS, Pairs, Slice, Totals
from loadgen.onhost.engine.poll import SECOND


class Waiting(NamedTuple):
    """How long the requests have waited that are owed an answer; ``service`` is of an open load."""

    latency: Pairs = ()
    service: Pairs = ()


NOTHING_WAITS = Waiting()


class Tally:
    """One slice in the making: from ``begin_nanoseconds`` to before ``end_nanoseconds``."""

    __slots__ = (
        "backlog_dropped",
        "backlog_max",
        "begin_nanoseconds",
        "bodies_checked",
        "bytes_received",
        "connects",
        "end_nanoseconds",
        "failure_histogram",
        "failures",
        "histogram",
        "index",
        "lag_nanoseconds_max",
        "quiet_nanoseconds_max",
        "reconnects",
        "send_lag",
        "service_histogram",
        "stalls",
        "unanswered",
        "unanswered_service",
    )

    def __init__(self, index: int, begin_nanoseconds: int, end_nanoseconds: int) -> None:
        self.index = index
        self.begin_nanoseconds = begin_nanoseconds
        self.end_nanoseconds = end_nanoseconds
        self.histogram: defaultdict[int, int] = defaultdict(int)
        self.failure_histogram: defaultdict[int, int] = defaultdict(int)
        self.send_lag: defaultdict[int, int] = defaultdict(int)
        self.service_histogram: defaultdict[int, int] = defaultdict(int)
        self.unanswered: defaultdict[int, int] = defaultdict(int)
        self.unanswered_service: defaultdict[int, int] = defaultdict(int)
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.bytes_received = self.connects = self.reconnects = 0
        self.bodies_checked = self.quiet_nanoseconds_max = self.stalls = 0
        self.backlog_dropped = self.backlog_max = self.lag_nanoseconds_max = 0

    def as_slice(
        self,
        connections: int,
        cpu_seconds: float,
        busy_poll_seconds: float = 0.0,
        waiting: Waiting = NOTHING_WAITS,
        quiet_nanoseconds: int = 0,
    ) -> Slice:
        """What only Locust's process knows is 0 in it. ``cpu_seconds`` is of the engine's process.

        ``waiting`` and ``quiet_nanoseconds``, the time without a byte that lasts, are of the slice's end.
        """
        return Slice(
            k=self.index,
            requests=sum(self.histogram.values()),
            failures=dict(self.failures),
            bytes_received=self.bytes_received,
            connects=self.connects,
            reconnects=self.reconnects,
            connections=connections,
            histogram=_pairs(self.histogram),
            failure_histogram=_pairs(self.failure_histogram),
            engine_cpu_seconds=cpu_seconds,
            engine_busy_poll_seconds=busy_poll_seconds,
            locust_cpu_seconds=0.0,
            loop_lag_seconds_max=self.lag_nanoseconds_max / SECOND,
            send_lag=_pairs(self.send_lag),
            service_histogram=_pairs(self.service_histogram),
            backlog_max=self.backlog_max,
            backlog_dropped=self.backlog_dropped,
            seconds=(self.end_nanoseconds - self.begin_nanoseconds) / SECOND,
            bodies_checked=self.bodies_checked,
            unanswered=_pairs(self.unanswered),
            unanswered_service=_pairs(self.unanswered_service),
            in_flight=waiting.latency,
            in_flight_service=waiting.service,
            quiet_seconds_max=max(self.quiet_nanoseconds_max, quiet_nanoseconds) / SECOND,
            quiet_seconds_at_end=quiet_nanoseconds / SECOND,
            stalls=self.stalls,
        )


def _pairs(counts: dict[int, int]) -> Pairs:
    return tuple(sorted(counts.items()))


_SUMMED = (
    "requests",
    "bytes_received",
    "connects",
    "reconnects",
    "backlog_dropped",
    "engine_cpu_seconds",
    "engine_busy_poll_seconds",
    "seconds",
    "bodies_checked",
    "stalls",
)
_GREATEST = ("loop_lag_seconds_max", "backlog_max", "quiet_seconds_max")
_HISTOGRAMS = (
    "histogram",
    "failure_histogram",
    "send_lag",
    "service_histogram",
    "unanswered",
    "unanswered_service",
)
_STALL_NANOSECONDS = round(STALL_SECONDS * SECOND)


class SliceSums:
    """The sums of a run's slices; of some fields the greatest, and of ``connections`` the last."""

    def __init__(self) -> None:
        self._numbers: dict[str, Any] = dict.fromkeys((*_SUMMED, *_GREATEST, "connections"), 0)
        self._failures: defaultdict[str, int] = defaultdict(int)
        self._histograms: dict[str, defaultdict[int, int]] = {name: defaultdict(int) for name in _HISTOGRAMS}

    def add(self, one: Slice) -> None:
        numbers = self._numbers
        numbers["connections"] = one.connections
        for name in _SUMMED:
            numbers[name] += getattr(one, name)
        for name in _GREATEST:
            numbers[name] = max(numbers[name], getattr(one, name))
        for kind, count in one.failures.items():
            self._failures[kind] += count
        for name, histogram in self._histograms.items():
            for index, count in getattr(one, name):
                histogram[index] += count

    def totals(
        self, worker: str, *, sent: int, in_flight: int, backlog: int = 0, elsewhere: int = 0
    ) -> Totals:
        """``sent`` is the run's, and the other numbers are what only its end shows."""
        histograms: dict[str, Any] = {name: _pairs(counts) for name, counts in self._histograms.items()}
        return Totals(
            worker=worker,
            failures=dict(self._failures),
            sent=sent,
            completed=self.completed,
            in_flight_at_stop=in_flight,
            backlog_at_stop=backlog,
            elsewhere=elsewhere,
            **self._numbers,
            **histograms,
        )

    @property
    def completed(self) -> int:
        """Good and failed requests together."""
        return int(self._numbers["requests"]) + sum(self._failures.values())


class SliceClock:
    """Where the seconds of a run begin, by time.perf_counter_ns().

    ``epoch`` is on the controller's monotonic clock, and the offset is this host's monotonic clock minus that
    one, in seconds: the time of day, which may be set at any moment, has no part in it.
    """

    def __init__(self, epoch: float, clock_offset_seconds: float) -> None:
        counter, monotonic = time.perf_counter_ns(), time.monotonic_ns()
        self.epoch_nanoseconds = counter + round((epoch + clock_offset_seconds) * SECOND) - monotonic

    def tally_at(self, now: int) -> Tally:
        """An empty tally for the slice that ``now`` is in, from ``now`` on."""
        index = max((now - self.epoch_nanoseconds) // SECOND, -1)
        return Tally(index, now, self.epoch_nanoseconds + (index + 1) * SECOND)


class Ledger:
    """What one run has measured. ``tally`` is the slice in the making; those that are over are emitted.

    ``as_slice`` makes the slice of a tally that is over.
    """

    __slots__ = ("_as_slice", "_clock", "_emit", "sums", "tally")

    def __init__(
        self,
        clock: SliceClock,
        now: int,
        as_slice: Callable[[Tally], Slice],
        emit: Callable[[Slice], None],
    ) -> None:
        self._clock, self._as_slice, self._emit = clock, as_slice, emit
        self.tally = clock.tally_at(now)
        self.sums = SliceSums()

    def roll(self, now: int) -> Tally:
        """Emit the slices that are over; returns the one that ``now`` is in."""
        while now >= self.tally.end_nanoseconds:
            self._close()
            self.tally = self._clock.tally_at(self.tally.end_nanoseconds)
        return self.tally

    def end(self, now: int) -> None:
        """Emit the slice in the making, which ends now."""
        self.roll(now).end_nanoseconds = now
        self._close()

    def _close(self) -> None:
        one = self._as_slice(self.tally)
        self.sums.add(one)
        self._emit(one)

    def succeed(self, now: int, latency: int, service: int | None = None) -> None:
        """A good answer came; durations in nanoseconds, ``service`` of an open load only."""
        tally = self.roll(now)
        tally.histogram[index_of(latency)] += 1
        if service is not None:
            tally.service_histogram[index_of(service)] += 1

    def fail(self, now: int, latency: int, kind: str, service: int | None = None) -> None:
        """A request has failed; durations as in ``succeed``."""
        tally = self.roll(now)
        tally.failures[kind] += 1
        tally.failure_histogram[index_of(latency)] += 1
        if kind == "timeout":
            tally.unanswered[index_of(latency)] += 1
            if service is not None:
                tally.unanswered_service[index_of(service)] += 1

    def end_quiet(self, quiet: int) -> None:
        """Bytes have come after so many nanoseconds without any."""
        tally = self.tally
        tally.quiet_nanoseconds_max = max(tally.quiet_nanoseconds_max, quiet)
        if quiet >= _STALL_NANOSECONDS:
            tally.stalls += 1
