"""h2load's log: one line a request that has ended, placed on the monotonic clock.

A line is the time of day in µs at which the request was sent, the answer's status (-1: the stream failed)
and the µs until its end, with tabs between. Only the first is of a clock that anybody may set; the last is by
h2load's monotonic clock. h2load writes a line, whole, as soon as the request has ended. So a line that was
not there at one look and is there at the next ended between the two, by our monotonic clock and whatever the
time of day says; between them it is placed by the time of day, less what that leads by at this look.
"""

from __future__ import annotations

from typing import NamedTuple

UNSEEN = 0
"""The status of an answer whose status line has no reason phrase: h2load passes over it in HTTP/1.1."""
_FAILED = -1
_NANOSECONDS = 1_000  # a µs


class LogError(Exception):
    """The log isn't what h2load writes."""


class LoggedRequest(NamedTuple):
    """A request that has ended."""

    at: int  # ns, by time.perf_counter_ns()
    took: int  # ns
    status: int | None  # None: its stream failed; or UNSEEN


class RequestLog:
    """Takes the log in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self.lines = 0  # whole ones until now

    def feed(self, data: bytes, *, since: int, now: int, wall_lead: int) -> list[LoggedRequest]:
        """The requests whose lines are whole with ``data``, the first to end first.

        ``since`` is when the log was last seen to have no more, ``now`` when ``data`` was read. ``wall_lead``
        is the time of day minus our monotonic clock, now. All in ns. Raises LogError.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += len(lines)
        found = []
        for line in lines:
            try:
                # More columns may come, says h2load's manual.
                sent, status, took, *_ = map(int, line.split(b"\t"))
            except ValueError as error:
                raise LogError(f"h2load's log has a line that can't be read: {line[:80]!r}") from error
            took *= _NANOSECONDS
            at = min(max(sent * _NANOSECONDS + took - wall_lead, since), now)
            found.append(LoggedRequest(at, took, None if status == _FAILED else status))
        found.sort()
        return found

    def end(self) -> None:
        """There is no more to come. Raises LogError where it ends within a line."""
        if self._rest:
            raise LogError(f"h2load's log ends within a line: {self._rest[:80]!r}")
