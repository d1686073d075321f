"""Stated rates (open loop): who fell behind, and whose latency it is.

Nothing needs to hold such a run back: a rate met with CPU to spare has the limit ``offered_rate``. One that
is missed names who fell behind. A saturated server did, and so did one whose answers took so long that nearly
all connections waited for one (Little's law: the rate times the mean service time): both are findings and
count, with the latency that the waiting costs. They don't where the same cell's closed loop reached more than
the rate: a server that falls behind keeps all of its connections busy, as a closed loop does, and would be as
fast as there. The machine was slower. Where no party's CPU was used up and other programs held the
hosts up, who fell behind is not known, and the run is void. Otherwise connections were free while requests
were due: the generator sent too late, and the run is void.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import ClassVar, Self

from bench.judge.figures import CpuUse, RunFigures
from bench.judge.reason import Reason
from bench.judge.rule import LimitName, Priority, Rule
from bench.judge.rules.database import DatabaseAtLimit
from bench.judge.rules.load import is_load_at_limit
from bench.judge.rules.network import is_network_full
from bench.judge.thresholds import Thresholds
from bench.judge.words import cores_words
from bench.results.figures import OpenLoop

# Two runs of one cell differ by up to 2 %: a rate missed by less can't be told from one that is met.
RATE_MISSED_SHARE = 0.02
# Requests: answers under way at the window's ends.
RATE_MISSED_COUNT = 2
# Poisson arrivals of a window vary by the root of their number: three of it are exceeded once in 700.
POISSON_DEVIATIONS = 3.0
# With four of five connections waiting on average, bursts find none that is free.
CONNECTIONS_BUSY = 0.80
# Half of the latency halves what a server's speed can change.
SEND_LAG_PART = 0.5
# One in a hundred of those due: they waited longest of all, so the true p99 is above every percentile shown.
BACKLOG_DROPPED_SHARE = 0.01


def is_rate_missed(figures: RunFigures) -> bool:
    """Fewer requests were answered than were due, failures apart: they have a reason of their own."""
    if figures.open_loop is None:
        return False
    due = figures.open_loop.offered_rate_per_second * figures.window_seconds
    chance = POISSON_DEVIATIONS * math.sqrt(due) if figures.arrivals == "poisson" else 0.0
    answered = figures.requests + figures.failed
    return due - answered > max(RATE_MISSED_SHARE * due, RATE_MISSED_COUNT, chance)


def is_server_behind(reasons: Iterable[Reason]) -> bool:
    """Whether a valid run or cell missed its rate, by its reasons as results keep them: others are void."""
    return any(reason.code == ServerBehindRate.code() for reason in reasons)


class _MissedRate(Rule, frozen=True):
    """A stated rate that was missed, for one of the reasons below. One at most is found in a run."""

    offered_rate_per_second: float
    achieved_rate_per_second: float
    ended_after_seconds: float | None  # None: the rate was offered to the window's end

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[Self]:
        reason = _who_fell_behind(figures, thresholds)
        if isinstance(reason, cls):
            yield reason

    @property
    def _missed(self) -> str:
        ended = "" if self.ended_after_seconds is None else f"ended after {self.ended_after_seconds:g} s: "
        return (
            f"{ended}of {_rate_text(self.offered_rate_per_second)} requests/s offered "
            f"{_rate_text(self.achieved_rate_per_second)} were answered"
        )


class ServerBehindRate(_MissedRate, frozen=True):
    """The server answered fewer requests than were due: its latency is that of an overload."""

    limit: ClassVar[LimitName | None] = "latency"
    priority: ClassVar[Priority] = Priority.LATENCY

    at_limit: str
    remedy: str = "State a lower rate to see the server's latency below its limit"

    @property
    def text(self) -> str:
        return f"{self._missed}: the server did not keep up, {self.at_limit}"


class MissedBelowMaximum(_MissedRate, frozen=True):
    """The server fell behind a rate below what it reached itself in the same cell's closed loop."""

    priority: ClassVar[Priority] = Priority.RATE
    is_of_machine: ClassVar[bool] = True

    own_maximum_per_second: float
    invalidates: bool = True
    remedy: str = "See what else runs on these hosts or beside them, and measure again when they are quiet"

    @property
    def text(self) -> str:
        return (
            f"{self._missed}, though the same server reached {_rate_text(self.own_maximum_per_second)} in "
            "closed loop: the machine was slower in this run"
        )


class LoadBehindRate(_MissedRate, frozen=True):
    """The load generator sent fewer requests than were due, or too late, while the server could have more."""

    limit: ClassVar[LimitName | None] = "load_generator"
    priority: ClassVar[Priority] = Priority.GENERATOR

    at_limit: str
    invalidates: bool = True
    remedy: str = "Add load hosts or load workers, or state a lower rate"

    @property
    def text(self) -> str:
        return f"{self._missed}: the load generator did not keep up, {self.at_limit}"


class RateNotReached(_MissedRate, frozen=True):
    """A party beside server and load generator was at its limit, for which it has a reason of its own."""

    priority: ClassVar[Priority] = Priority.RATE

    party: str
    invalidates: bool = True
    remedy: str = "State a lower rate, or see to what was at its limit"

    @property
    def text(self) -> str:
        return f"{self._missed}: the {self.party} was at its limit"


class RateSpoiltByOthers(_MissedRate, frozen=True):
    """No party's CPU was used up, and other programs had a good part of the cores."""

    priority: ClassVar[Priority] = Priority.RATE
    is_of_machine: ClassVar[bool] = True

    others_share: float
    invalidates: bool = True
    remedy: str = "Stop what else runs on these hosts, or keep it off these cores"

    @property
    def text(self) -> str:
        return f"{self._missed}: other programs took {self.others_share:.0%} of a party's cores"


class RateEndedEarly(Rule, frozen=True):
    """The rate could not be met, so that it was not offered for the whole window."""

    window_seconds: float
    remedy: str = "State a lower rate to have the figures of a whole window"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[RateEndedEarly]:
        if figures.open_loop is not None and figures.open_loop.ended_after_seconds is not None:
            yield cls(figures.window_seconds)

    @property
    def text(self) -> str:
        return (
            f"its figures are of the last {self.window_seconds:g} s of a load that was ended early, not of a "
            "whole window"
        )


class SentLate(Rule, frozen=True):
    """A good part of a stated rate's latency was the load generator's, which was held up.

    A wait for a busy connection is the server's; one that a worker's own pauses explain is not.
    """

    priority: ClassVar[Priority] = Priority.LATE

    worker: str
    loop_lag_seconds: float
    send_lag_seconds: float
    p99_latency_seconds: float
    remedy: str = "Compare by the service time, and give the load generator cores of its own"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[SentLate]:
        found, latency = figures.open_loop, figures.p99_latency_seconds
        if found is None or found.send_lag_seconds is None or latency is None or not figures.load:
            return
        worker = max(figures.load, key=lambda one: one.loop_lag_seconds)
        lag = found.send_lag_seconds.p99
        if lag is not None and min(lag, worker.loop_lag_seconds) >= SEND_LAG_PART * latency:
            yield cls(worker.worker, worker.loop_lag_seconds, lag, latency)

    @property
    def text(self) -> str:
        return (
            f"of a p99 latency of {self.p99_latency_seconds * 1e3:.1f} ms requests may have waited "
            f"{self.send_lag_seconds * 1e3:.1f} ms to be sent: load worker {self.worker} was held up for "
            f"{self.loop_lag_seconds * 1e3:.1f} ms at most"
        )


class BacklogDropped(Rule, frozen=True):
    """Requests that were due found the backlog full and were never sent: they are in no latency."""

    dropped: int
    share: float  # of the requests that were due
    remedy: str = "State a lower rate, or compare by the share of requests that were answered"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[BacklogDropped]:
        found = figures.open_loop
        if found is None or not found.backlog_dropped:
            return
        share = found.backlog_dropped / (figures.requests + figures.failed + found.backlog_dropped)
        if share >= BACKLOG_DROPPED_SHARE:
            yield cls(found.backlog_dropped, share)

    @property
    def text(self) -> str:
        return (
            f"{self.dropped:,} requests, {self.share:.1%} of those due, found the backlog full and were "
            "never sent: no percentile includes them, so p99 and above are too low"
        )


def _who_fell_behind(figures: RunFigures, thresholds: Thresholds) -> _MissedRate | None:
    found, server = figures.open_loop, figures.server
    if found is None or not is_rate_missed(figures):
        return None
    rates = _rates(found)
    if server is not None and figures.is_server_saturated(thresholds):
        return _server_behind(found, _full_server(figures, server, thresholds))
    if is_load_at_limit(figures, thresholds):
        return LoadBehindRate(*rates, "its cores were used up")
    if any(DatabaseAtLimit.find(figures, thresholds)):
        return RateNotReached(*rates, "database")
    if is_network_full(figures, thresholds):
        return RateNotReached(*rates, "network")
    return _behind_with_cpu_to_spare(figures, thresholds, found)


def _full_server(figures: RunFigures, server: CpuUse, thresholds: Thresholds) -> str:
    used = f"using {server.core_share:.2f} of {cores_words(server.cores)}"
    if figures.database is None or figures.is_server_full(thresholds):
        return used
    return f"using {server.core_share:.2f} of {cores_words(figures.cores_shared)}, which its database filled"


def _behind_with_cpu_to_spare(
    figures: RunFigures, thresholds: Thresholds, found: OpenLoop
) -> ServerBehindRate | MissedBelowMaximum | LoadBehindRate | RateSpoiltByOthers:
    rates = _rates(found)
    others, waiting = figures.others_share, _busy_connections(found)
    is_waiting = waiting >= CONNECTIONS_BUSY * (figures.connections or math.inf)
    # A server that is slow without using CPU is slow beside a few other programs too; a late generator isn't.
    if others >= (thresholds.others_void if is_waiting else thresholds.others_reported):
        return RateSpoiltByOthers(*rates, others)
    if is_waiting:
        return _server_behind(
            found, f"{waiting:.0f} of {figures.connections} connections waited for its answers"
        )
    lag = None if found.send_lag_seconds is None else found.send_lag_seconds.p99
    late = "" if lag is None else f" ({lag * 1e3:.1f} ms at p99)"
    return LoadBehindRate(*rates, f"it sent late{late} while connections were free")


def _server_behind(found: OpenLoop, at_limit: str) -> ServerBehindRate | MissedBelowMaximum:
    rates = _rates(found)
    maximum = found.own_maximum_per_second
    if maximum is not None and found.offered_rate_per_second < (1 - RATE_MISSED_SHARE) * maximum:
        return MissedBelowMaximum(*rates, maximum)
    return ServerBehindRate(*rates, at_limit)


def _rate_text(rate_per_second: float) -> str:
    """``60,000``, ``998.3``."""
    return f"{rate_per_second:,.0f}" if rate_per_second >= 1_000 else f"{rate_per_second:.4g}"


def _rates(found: OpenLoop) -> tuple[float, float, float | None]:
    return found.offered_rate_per_second, found.achieved_rate_per_second, found.ended_after_seconds


def _busy_connections(found: OpenLoop) -> float:
    """How many connections waited for an answer on average, by Little's law."""
    if found.service_latency_seconds is None:
        return 0.0
    return found.achieved_rate_per_second * found.service_latency_seconds.mean
