"""Requests of a user's own Locust clients, recorded as the engine records its own: slices and totals.

Shipped; standard library and our own engine.py and histogram.py. Locust is not imported here: its exceptions
and responses are told by what they are named and hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bench.wire.histogram import index_of
from loadgen.onhost.engine import SliceClock, Tally, Totals

_NANOSECONDS_PER_MILLISECOND = 1e6
_LEAST_FAILED_STATUS = 400
# By name, over every class that an exception is of, so that each of Locust's clients is understood:
# requests and urllib3, geventhttpclient, http.client, gevent, and the system's own errors.
_KINDS = {
    "ConnectionRefusedError": "refused",
    "ConnectionResetError": "reset",
    "ConnectionAbortedError": "reset",
    "BrokenPipeError": "reset",
    "TimeoutError": "timeout",
    "Timeout": "timeout",
    "RemoteDisconnected": "closed_early",
    "IncompleteRead": "closed_early",
    "HTTPConnectionClosed": "closed_early",
    "EmptyResponse": "closed_early",
    "BadStatusLine": "bad_framing",
    "HTTPParseError": "bad_framing",
    "ChunkedEncodingError": "bad_framing",
    "ContentDecodingError": "bad_framing",
    # Locust's own for response.failure("...") and for what a user raises to the same end.
    "CatchResponseError": "rejected",
    "ResponseError": "rejected",
}


def failure_kind(exception: BaseException | str, status: int | None) -> str:
    """The kind of a failed request, in the engine's words where it has one.

    ``rejected`` is an answer that the user's own file called a failure; ``other`` is anything else.
    """
    if status is not None and status >= _LEAST_FAILED_STATUS:
        return "bad_status"
    if not isinstance(exception, BaseException):
        return "rejected"
    for one in _behind(exception):
        names = [kind.__name__ for kind in type(one).__mro__]
        found = next((_KINDS[name] for name in names if name in _KINDS), None)
        if found is not None:
            return found
    return "other"


def _behind(exception: BaseException) -> Iterator[BaseException]:
    """The exception and all that it wraps, the innermost first: clients wrap what the socket said."""
    seen: list[BaseException] = []
    waiting = [exception]
    while waiting:
        one = waiting.pop(0)
        if one in seen:
            continue
        seen.append(one)
        inner = [one.__cause__, one.__context__, *map(one.__dict__.get, ("original", "reason")), *one.args]
        waiting += [each for each in inner if isinstance(each, BaseException)]
    return reversed(seen)


class RequestRecorder:
    """One run's requests in slices. ``base_url`` and ``counted_paths`` are what the measured app counts.

    ``connections`` tells how many users there are; ``emit`` takes each slice that is over, once, in order.
    """

    def __init__(
        self,
        clock: SliceClock,
        *,
        base_url: str,
        counted_paths: Iterable[str],
        connections: Callable[[], int],
        emit: Callable[[dict[str, Any]], None],
        now: int,
    ) -> None:
        self._clock = clock
        self._counted = frozenset(f"{base_url}{path}" for path in counted_paths)
        self._connections = connections
        self._emit = emit
        self._tally: Tally = clock.tally_at(now)
        self._totals = Totals()
        self._completed = 0
        self._elsewhere = 0

    def record(
        self,
        now: int,
        *,
        response_time_ms: float | None,
        length_bytes: int | None,
        exception: BaseException | str | None,
        status: int | None,
        url: str,
    ) -> None:
        """One request that ended at ``now``, a reading of time.perf_counter_ns()."""
        tally = self.roll(now)
        index = index_of(round((response_time_ms or 0.0) * _NANOSECONDS_PER_MILLISECOND))
        if exception:
            tally.failure_histogram[index] += 1
            tally.failures[failure_kind(exception, status)] += 1
        else:
            tally.histogram[index] += 1
        tally.bytes_received += length_bytes or 0
        if url.partition("?")[0] not in self._counted:
            self._elsewhere += 1

    def note_lag(self, now: int, lag_nanoseconds: int) -> None:
        """How late the process came to look at its clock."""
        tally = self.roll(now)
        tally.lag_nanoseconds_max = max(tally.lag_nanoseconds_max, lag_nanoseconds)

    def roll(self, now: int) -> Tally:
        """Emit the slices that are over; returns the one that ``now`` is in."""
        while now >= self._tally.end_nanoseconds:
            self._end_tally()
            self._tally = self._clock.tally_at(self._tally.end_nanoseconds)
        return self._tally

    def close(self, now: int, in_flight: int) -> dict[str, Any]:
        """Emit the last slice; the Totals of protocol.md."""
        self.roll(now)
        self._end_tally()
        return {
            **self._totals.as_message(),
            "sent": self._completed + in_flight,
            "completed": self._completed,
            "in_flight_at_stop": in_flight,
            "backlog_at_stop": 0,
            "elsewhere": self._elsewhere,
        }

    def _end_tally(self) -> None:
        # There is no engine's process: all of the CPU is Locust's own.
        slice_ = self._tally.as_slice(self._connections(), 0.0)
        self._completed += slice_["requests"] + sum(slice_["failures"].values())
        self._totals.add(slice_)
        self._emit(slice_)
