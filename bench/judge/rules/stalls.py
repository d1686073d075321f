"""Where no answer came: a server that stood still once is not the one that was to be measured.

*What is the server's own.* One that stalls again and again (collects garbage, writes its log) does so in
everybody's use: its stalls are a finding, and stand beside a p99 that doesn't show them. What stood still
once, for a second or more, may be the server, its host or the link: nobody can tell from one time, so the run
is void, and measured again. The same holds for a part of the connections.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import Priority, Rule
from bench.judge.thresholds import Thresholds
from bench.results.answers import Silence

# What lasts for a second leaves a hole in the curve over time; shorter stalls are in the tail of latency.
STOPPED_SECONDS = 1.0
# Twice may be chance, three times is a habit,
RECURRING_STALLS = 3
# if the longest is of the others' kind.
RECURRING_TIMES = 3.0
# A second has this many answers by their mean number; then one without any is no chance.
ANSWERS_EXPECTED = 20
# With a tenth of the connections standing still, a closed loop asks a tenth less of the server.
STANDING_SHARE = 0.1


class StoppedAnswering(Rule, frozen=True):
    """For a second or more no answer came at all, and that doesn't recur."""

    priority: ClassVar[Priority] = Priority.NO_ANSWER
    is_of_machine: ClassVar[bool] = True

    seconds: float
    since: float  # in seconds from the start of the load
    has_ended: bool
    worker: str  # the load worker to which none came; "" where it is all of them
    invalidates: bool = True
    remedy: str = "See whether the server, its host or the link stood still, and measure again"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[StoppedAnswering]:
        answers = figures.answers
        if answers is None or not figures.requests:
            return
        silence, without = answers.silence, _unlikely_seconds(figures)
        if silence is not None and _recurs(silence):
            return
        if silence is not None and silence.seconds >= STOPPED_SECONDS:
            worker = "" if silence.is_everywhere else silence.worker
            yield cls(silence.seconds, silence.since, silence.has_ended, worker)
        elif without:
            yield cls(float(len(without)), float(without[0]), has_ended=True, worker="")

    @property
    def text(self) -> str:
        to_whom = f" load worker {self.worker}" if self.worker else ""
        since = f"second {math.floor(self.since)}"
        for_long = f"{self.seconds:.1f} s"
        if self.has_ended:
            when = f"for {for_long} from {since} on"
        else:
            when = f"from {since} on, {for_long} before the window’s end"
        return f"the server (or the link to it) stopped answering{to_whom} {when}"


class ServerStalls(Rule, frozen=True):
    """Now and then no answer came: too short or too often for the machine to be blamed."""

    seconds: float
    stalls: int
    remedy: str = (
        "See what the server does meanwhile, and measure at a stated rate: its latency has stalls in it"
    )

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[ServerStalls]:
        answers = figures.answers
        if answers is None or answers.silence is None or any(StoppedAnswering.find(figures, thresholds)):
            return
        yield cls(answers.silence.seconds, answers.silence.stalls)

    @property
    def text(self) -> str:
        times = {1: "once", 2: "twice"}.get(self.stalls, f"{self.stalls} times")
        return f"no answer came for {self.seconds:.2f} s at most, {times} for 0.25 s or more"


class ConnectionsStandStill(Rule, frozen=True):
    """Requests waited for a second or more while others were answered as fast as ever."""

    priority: ClassVar[Priority] = Priority.NO_ANSWER
    is_of_machine: ClassVar[bool] = True

    requests: int
    connections: int
    second: int
    oldest_seconds: float
    invalidates: bool
    remedy: str = "See whether one of the server's workers stands still, and its log"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[ConnectionsStandStill]:
        answers, connections = figures.answers, figures.connections
        if answers is None or answers.standing is None or not connections:
            return
        standing = answers.standing
        # With an open load those that wait for a connection are old too.
        waiting = min(standing.requests, connections)
        yield cls(
            waiting,
            connections,
            standing.second,
            standing.oldest_seconds,
            invalidates=waiting >= STANDING_SHARE * connections,
        )

    @property
    def text(self) -> str:
        return (
            f"{self.requests} of {self.connections} connections waited for an answer, up to "
            f"{self.oldest_seconds:.1f} s at the end of second {self.second}, while others were answered"
        )


def _recurs(silence: Silence) -> bool:
    return silence.stalls >= RECURRING_STALLS and silence.seconds <= RECURRING_TIMES * silence.next_seconds


def _unlikely_seconds(figures: RunFigures) -> tuple[int, ...]:
    """Whole seconds without an answer where there should have been many."""
    if figures.answers is None or figures.requests < ANSWERS_EXPECTED * figures.window_seconds:
        return ()
    return figures.answers.seconds_without
