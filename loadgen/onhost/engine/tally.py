"""What was measured: a slice in the making, the slices that are over, and the sums of a run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from bench.wire.histogram import index_of
from bench.wire.slices import Pairs, Slice, Totals
from loadgen.onhost.engine.poll import SECOND


class Tally:
    """One slice in the making. ``end_nanoseconds`` is the first moment that is no longer in it."""

    __slots__ = (
        "backlog_dropped",
        "backlog_max",
        "bytes_received",
        "connects",
        "end_nanoseconds",
        "failure_histogram",
        "failures",
        "histogram",
        "index",
        "lag_nanoseconds_max",
        "reconnects",
        "send_lag",
        "service_histogram",
    )

    def __init__(self, index: int, end_nanoseconds: int) -> None:
        self.index = index
        self.end_nanoseconds = end_nanoseconds
        self.histogram: defaultdict[int, int] = defaultdict(int)
        self.failure_histogram: defaultdict[int, int] = defaultdict(int)
        self.send_lag: defaultdict[int, int] = defaultdict(int)
        self.service_histogram: defaultdict[int, int] = defaultdict(int)
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.bytes_received = self.connects = self.reconnects = 0
        self.backlog_dropped = self.backlog_max = self.lag_nanoseconds_max = 0

    def as_slice(self, connections: int, cpu_seconds: float, busy_poll_seconds: float = 0.0) -> Slice:
        """What only Locust's process knows is 0 in it. ``cpu_seconds`` is of the engine's process."""
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
)
_GREATEST = ("loop_lag_seconds_max", "backlog_max")
_HISTOGRAMS = ("histogram", "failure_histogram", "send_lag", "service_histogram")


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
        """An empty tally for the slice that ``now`` is in."""
        index = max((now - self.epoch_nanoseconds) // SECOND, -1)
        return Tally(index, self.epoch_nanoseconds + (index + 1) * SECOND)


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
            self.close()
            self.tally = self._clock.tally_at(self.tally.end_nanoseconds)
        return self.tally

    def close(self) -> None:
        """Emit the slice in the making as it is."""
        one = self._as_slice(self.tally)
        self.sums.add(one)
        self._emit(one)

    def succeed(self, now: int, latency: int, service: int | None = None) -> None:
        """A good answer came; durations in nanoseconds, ``service`` of an open load only."""
        tally = self.roll(now)
        tally.histogram[index_of(latency)] += 1
        if service is not None:
            tally.service_histogram[index_of(service)] += 1

    def fail(self, now: int, latency: int, kind: str) -> None:
        """A request has failed."""
        tally = self.roll(now)
        tally.failures[kind] += 1
        tally.failure_histogram[index_of(latency)] += 1
