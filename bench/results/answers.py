"""What a run's answers were, besides how fast: how many bodies were looked at, and where none came.

Silence is time in which not a byte came to a load worker; requests that stand still are those that are old
while others are answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bench.results.figures import LoadWorker, Second
from bench.results.latency import NANOSECONDS
from bench.results.waiting import LatencySpread
from bench.results.window import Window, WorkerSecond
from bench.wire.histogram import midpoint_of
from bench.wire.slices import STALL_SECONDS

# A request stands still that has waited for a second and ten times as long as 99 of 100 answers took.
STANDING_SECONDS = 1.0
STANDING_P99S = 10.0
# Of independent arrivals one in three million is followed by a pause of 15 times their mean distance.
ANSWERS_APART = 15.0
# Connections that have fallen into step are answered all at once, and are silent for as long as answers take.
TIMES_TAKEN = 5.0
# Load workers' silences are one where they are as long as half of the longest.
ALIKE = 0.5


class Standing(msgspec.Struct, frozen=True):
    """Requests that waited while others were answered, at the end of the second that had most of them."""

    requests: int
    second: int  # from the start of the load
    oldest_seconds: float  # how long the oldest of them had waited


class Silence(msgspec.Struct, frozen=True):
    """Time in which not a byte came, of the load worker for which it was longest."""

    worker: str
    is_everywhere: bool  # all load workers had it, or one nearly as long
    seconds: float  # the longest, within the window or reaching into it
    since: float  # when it began, in seconds from the start of the load, to a second
    has_ended: bool  # before the window did
    stalls: int  # times of STALL_SECONDS or more, this one included
    next_seconds: float  # the longest of the other times


class AnswersSeen(msgspec.Struct, frozen=True):
    """What is known of a window's answers."""

    right_size: int  # of the right status and length; where no length is known, of the right status
    bodies_checked: int  # of these, whose whole body was compared or hashed
    bodies_wrong: int  # of these, with another body than the right one
    reconnects: int  # connections made in place of one that the server ended
    seconds_without: tuple[
        int, ...
    ]  # whole seconds in which nothing was answered, from the start of the load
    silence: Silence | None  # None: never for STALL_SECONDS
    standing: Standing | None  # None: nothing stood still

    @property
    def is_every_body_checked(self) -> bool:
        return self.bodies_checked >= self.right_size


def answers_of(window: Window, seconds: Sequence[Second]) -> AnswersSeen:
    """``seconds`` are the run's."""
    wrong = window.failures.get("bad_body", 0)
    return AnswersSeen(
        right_size=window.requests + wrong,
        bodies_checked=window.bodies_checked,
        bodies_wrong=wrong,
        reconnects=sum(worker.reconnects for worker in window.workers),
        seconds_without=tuple(
            one.second for one in seconds if one.in_window and not one.requests + one.failures
        ),
        silence=_longest_silence(window),
        standing=_most_standing(window),
    )


def _longest_silence(window: Window) -> Silence | None:
    by_worker: dict[str, list[WorkerSecond]] = {}
    for one in window.silence:
        by_worker.setdefault(one.worker, []).append(one)
    found = [
        silence
        for worker in window.workers
        if (own := by_worker.get(worker.name)) and (silence := _silence_of(worker, own, window))
    ]
    if not found:
        return None
    longest = max(found, key=lambda one: one.seconds)
    alike = [one for one in found if one.seconds >= ALIKE * longest.seconds]
    return msgspec.structs.replace(longest, is_everywhere=len(alike) == len(window.workers))


def _silence_of(worker: LoadWorker, own: Sequence[WorkerSecond], window: Window) -> Silence | None:
    """The longest of one load worker; None where it is no longer than its answers' distance explains."""
    ordered = sorted(own, key=lambda one: one.second)
    longest, last = max(ordered, key=lambda one: one.quiet_seconds_max), ordered[-1]
    if longest.quiet_seconds_max < STALL_SECONDS:
        return None
    line = max(STALL_SECONDS, _usual_silence_seconds(worker, window))
    if longest.quiet_seconds_max < line:
        return None
    seconds = longest.quiet_seconds_max
    has_ended = last.quiet_seconds_at_end < seconds
    end = longest.second if has_ended else last.second + 1
    before = next((one for one in ordered if one.second == end - 1), None)
    reached = before.quiet_seconds_at_end if has_ended and before is not None else seconds
    since = max(0.0, end - (reached if reached >= STALL_SECONDS else 0.0))
    others = [one.quiet_seconds_max for one in ordered if not since - 1 <= one.second <= end]
    lasting = last.quiet_seconds_at_end >= STALL_SECONDS
    return Silence(
        worker=worker.name,
        is_everywhere=False,
        seconds=seconds,
        since=since,
        has_ended=has_ended,
        stalls=sum(one.stalls for one in ordered) + lasting if line == STALL_SECONDS else 1,
        next_seconds=max(others, default=0.0),
    )


def _usual_silence_seconds(worker: LoadWorker, window: Window) -> float:
    """Few answers are far apart, and answers to requests that are sent together come together."""
    took = LatencySpread(window.service_histogram or window.histogram)
    if not worker.requests or not took.count:
        return 0.0
    apart = window.real_seconds / worker.requests
    return max(ANSWERS_APART * apart, TIMES_TAKEN * took.quantile(0.5).nanoseconds / NANOSECONDS)


def _most_standing(window: Window) -> Standing | None:
    line = _standing_line_nanoseconds(window)
    found = [
        Standing(
            requests=sum(count for _, count in old),
            second=second,
            oldest_seconds=midpoint_of(max(index for index, _ in old)) / NANOSECONDS,
        )
        for second, old in _old_by_second(window.silence, line).items()
    ]
    return max(found, key=lambda one: (one.requests, one.oldest_seconds), default=None)


def _standing_line_nanoseconds(window: Window) -> float:
    answered = LatencySpread(window.histogram)
    p99 = answered.quantile(0.99).nanoseconds if answered.count else 0.0
    return max(STANDING_SECONDS * NANOSECONDS, STANDING_P99S * p99)


def _old_by_second(seconds: Iterable[WorkerSecond], line: float) -> dict[int, list[tuple[int, int]]]:
    """The old ones in flight, over the load workers to which bytes came: else all stand still."""
    found: dict[int, list[tuple[int, int]]] = {}
    for one in seconds:
        old = [(index, count) for index, count in one.in_flight if midpoint_of(index) >= line]
        if old and one.quiet_seconds_at_end < STALL_SECONDS:
            found.setdefault(one.second, []).extend(old)
    return found
