"""Requests of a user's own Locust clients, recorded as the engine records its own: slices and totals.

Locust is not imported here: its exceptions and responses are recognised by their names and attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from bench.wire.slices import Slice, Totals
from loadgen.onhost.engine.tally import Ledger, SliceClock, Tally

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
    """The exception and all that it wraps, the innermost first: clients wrap the socket's error."""
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
        worker: str,
        base_url: str,
        counted_paths: Iterable[str],
        connections: Callable[[], int],
        emit: Callable[[Slice], None],
        now: int,
    ) -> None:
        self._worker = worker
        self._counted = frozenset(f"{base_url}{path}" for path in counted_paths)
        self._connections = connections
        self._ledger = Ledger(clock, now, self._as_slice, emit)
        self._elsewhere = 0
        self._heard_at = now

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
        took = round((response_time_ms or 0.0) * _NANOSECONDS_PER_MILLISECOND)
        if status is not None or not exception:
            self._ledger.roll(now)
            self._ledger.end_quiet(now - self._heard_at)
            self._heard_at = now
        if exception:
            self._ledger.fail(now, took, failure_kind(exception, status))
        else:
            self._ledger.succeed(now, took)
        self._ledger.tally.bytes_received += length_bytes or 0
        if url.partition("?")[0] not in self._counted:
            self._elsewhere += 1

    def note_lag(self, now: int, lag_nanoseconds: int) -> None:
        """How late the process came to look at its clock."""
        tally = self._ledger.roll(now)
        tally.lag_nanoseconds_max = max(tally.lag_nanoseconds_max, lag_nanoseconds)

    def close(self, now: int, in_flight: int) -> Totals:
        """Emit the last slice."""
        self._ledger.end(now)
        sums = self._ledger.sums
        return sums.totals(
            self._worker, sent=sums.completed + in_flight, in_flight=in_flight, elsewhere=self._elsewhere
        )

    def _as_slice(self, tally: Tally) -> Slice:
        # There is no engine's process: all of the CPU is Locust's own.
        quiet = max(0, tally.end_nanoseconds - self._heard_at)
        return tally.as_slice(self._connections(), 0.0, quiet_nanoseconds=quiet)
