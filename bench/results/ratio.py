"""One figure in two benchmarks: the ratio B over A with its interval.

The runs of A and B have no block in common, so a ratio's interval is Welch's on the logarithms of the runs'
figures (neither the spread nor the number of runs need be equal), widened to hold the ratio of the medians.
It says how the ratio would vary over repeats on these hosts on these days. Each interval is of one figure and
not widened for their number; by Holm's method, a difference is claimed where it stands among all figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum
from statistics import fmean, median, variance

import msgspec

from bench.results.estimate import CONFIDENCE, t_quantile
from bench.results.run import RunResult
from bench.results.significance import FALSE_CLAIMS, first_true, two_sided_p


class Metric(msgspec.Struct, frozen=True):
    """A figure that two benchmarks are compared by."""

    name: str  # with its unit
    title: str  # for readers, within a sentence
    of: Callable[[RunResult], float | None]  # None: the run has no such figure
    more_is_better: bool = False
    resolution: float = 0.0  # the relative step in which it is measured: 0.001 for 0.1 %
    is_gated: bool = True  # --fail-over judges by it


def _requests_per_second(run: RunResult) -> float | None:
    return run.requests_per_second


def _p99_seconds(run: RunResult) -> float | None:
    return None if run.latency_seconds is None else run.latency_seconds.p99


def _rss_bytes(run: RunResult) -> float | None:
    return run.rss_bytes.median


def _cpu_seconds_per_request(run: RunResult) -> float | None:
    return run.cpu_seconds_per_request


def _requests_per_second_per_core(run: RunResult) -> float | None:
    """Per core that the server's processes used in the window, not per core that they might have used."""
    used = cores_used(run)
    return run.requests_per_second / used if used else None


def cores_used(run: RunResult) -> float | None:
    """How many cores the server's processes used on average in the window; None: not known."""
    return None if run.server_cpu is None else run.server_cpu.core_share


METRICS = (
    Metric("requests_per_second", "requests/s", _requests_per_second, more_is_better=True),
    Metric("p99_seconds", "p99", _p99_seconds, resolution=0.001),
    Metric("rss_bytes", "RSS", _rss_bytes),
    Metric("cpu_seconds_per_request", "CPU a request", _cpu_seconds_per_request, is_gated=False),
    Metric(
        "requests_per_second_per_core",
        "requests/s a core",
        _requests_per_second_per_core,
        more_is_better=True,
        is_gated=False,
    ),
)


class Change(Enum):
    """What may be said of B against A."""

    BETTER = "better"
    WORSE = "worse"
    BY_CHANCE = "not beyond chance"  # its interval excludes 1, but it doesn't stand among all figures
    WITHIN_NOISE = "within noise"
    NO_INTERVAL = "no interval"
    NOT_MEASURED = "not measured"
    AS_OFFERED = "as offered"  # a rate that was stated and met: nobody's speed is in it


class LogSpread(msgspec.Struct, frozen=True):
    """The logarithms of one side's figures."""

    variance: float  # of single runs
    runs: int

    def more(self, runs: int) -> LogSpread:
        """As spread with ``runs`` more of them."""
        return LogSpread(self.variance, self.runs + runs)


class LogDifference(msgspec.Struct, frozen=True):
    """Of the means of the logarithms, B's less A's, with its uncertainty."""

    centre: float
    a: LogSpread
    b: LogSpread
    least: float  # half of the interval at the least: what the measure can't resolve

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(sum(side.variance / side.runs for side in (self.a, self.b)))

    @property
    def degrees(self) -> int:
        """Welch's, in whole numbers, rounded down: the interval is wider for it, never narrower."""
        if self.error == 0:
            return self.a.runs + self.b.runs - 2
        shares = [
            (side.variance / side.runs / self.error**2) ** 2 / (side.runs - 1) for side in (self.a, self.b)
        ]
        return max(1, math.floor(1 / sum(shares) + 1e-9))

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval."""
        return max(t_quantile(0.5 + CONFIDENCE / 2, self.degrees) * self.error, self.least)

    def p_beyond(self, distance: float) -> float:
        """The probability of a difference that lies beyond 0 by so much, or more, where there is none."""
        if distance <= self.least:
            return 1.0
        return two_sided_p(distance / self.error, self.degrees) / 2 if self.error > 0 else 0.0

    def with_more_runs(self, runs: int) -> LogDifference:
        """The same with so many more runs on either side, if they are as spread."""
        return LogDifference(self.centre, self.a.more(runs), self.b.more(runs), self.least)


class Ratio(msgspec.Struct, frozen=True):
    """One figure in A and in B, and B's over A's. None: no run has the figure."""

    metric: Metric
    a: float | None  # median over the valid runs
    b: float | None
    median: float | None  # b over a
    low: float | None  # of the 95 % interval; None too with fewer than two runs on either side
    high: float | None
    runs_a: int  # how many runs have the figure
    runs_b: int
    difference: LogDifference | None = None  # what the interval is made of; None: there is none
    is_offered: bool = False  # a and b are rates that were offered and met: their ratio says nothing
    is_claimed: bool = True  # Holm's method lets a difference stand among all figures

    @property
    def p(self) -> float | None:
        """Of no difference, two-sided; None without an interval."""
        if self.difference is None:
            return None
        return min(1.0, 2 * self.difference.p_beyond(abs(self.difference.centre)))

    @property
    def change(self) -> Change:
        """What the interval allows to say: a difference only if it lies wholly on one side of 1."""
        if self.is_offered:
            return Change.AS_OFFERED
        if self.median is None:
            return Change.NOT_MEASURED
        if self.low is None or self.high is None:
            return Change.NO_INTERVAL
        if self.low <= 1 <= self.high:
            return Change.WITHIN_NOISE
        if not self.is_claimed:
            return Change.BY_CHANCE
        return Change.BETTER if (self.low > 1) == self.metric.more_is_better else Change.WORSE

    def is_worse_by(self, share: float) -> bool:
        """The whole interval is worse than 1 by more than ``share``: B is worse beyond the uncertainty."""
        if self.low is None or self.high is None:
            return False
        return self.high < 1 - share if self.metric.more_is_better else self.low > 1 + share

    def is_within(self, share: float) -> bool:
        """The whole interval is worse than 1 by at most ``share``: that B is worse by more is excluded."""
        if self.low is None or self.high is None:
            return False
        return self.low >= 1 - share if self.metric.more_is_better else self.high <= 1 + share

    def p_worse_by(self, share: float) -> float | None:
        """Of being worse by no more than ``share``, one-sided; None without an interval."""
        if self.difference is None:
            return None
        worse = self._worse
        return self.difference.p_beyond(worse - self._margin(share)) if worse > 0 else 1.0

    def runs_to_settle(self, share: float, most: int) -> int | None:
        """How many more runs on either side settle it, if median and spread stay; None: more than ``most``.

        Settled is an interval that lies wholly on one side of ``share``.
        """
        if self.difference is None:
            return None
        known, distance = self.difference, abs(self._worse - self._margin(share))
        return first_true(
            lambda runs: 2 * known.with_more_runs(runs).p_beyond(distance) < FALSE_CLAIMS, 1, most
        )

    @property
    def _worse(self) -> float:
        """By how much B is worse, as a logarithm; negative: it is better."""
        centre = 0.0 if self.difference is None else self.difference.centre
        return -centre if self.metric.more_is_better else centre

    def _margin(self, share: float) -> float:
        return -math.log(1 - share) if self.metric.more_is_better else math.log(1 + share)


def offered_ratio(metric: Metric, a: Sequence[float], b: Sequence[float]) -> Ratio:
    """Of rates that were offered and met, which don't spread: no interval of theirs would be of a server."""
    middle_a, middle_b = (median(values) if values else None for values in (a, b))
    return Ratio(metric, middle_a, middle_b, None, None, None, len(a), len(b), is_offered=True)


def ratio_of(metric: Metric, a: Sequence[float], b: Sequence[float]) -> Ratio:
    """``b`` over ``a``; each is a list of the figures of single runs."""
    middle_a, middle_b = (median(values) if values else None for values in (a, b))
    known = Ratio(metric, middle_a, middle_b, None, None, None, len(a), len(b))
    if not middle_a or not middle_b or middle_a < 0 or middle_b < 0:
        return known
    middle = middle_b / middle_a
    known = msgspec.structs.replace(known, median=middle)
    if min(len(a), len(b)) < 2 or min(*a, *b) <= 0:
        return known
    logarithms = [[math.log(value) for value in values] for values in (a, b)]
    in_a, in_b = (LogSpread(variance(values), len(values)) for values in logarithms)
    # Equal figures of a coarse measure have no spread; what they can't resolve is no difference either.
    found = LogDifference(
        fmean(logarithms[1]) - fmean(logarithms[0]), in_a, in_b, 2 * math.log1p(metric.resolution)
    )
    return msgspec.structs.replace(
        known,
        low=min(math.exp(found.centre - found.half_width), middle),
        high=max(math.exp(found.centre + found.half_width), middle),
        difference=found,
    )


def figures_of(metric: Metric, runs: Sequence[RunResult]) -> list[float]:
    """The metric's figure of each run that has one."""
    return [figure for run in runs if (figure := metric.of(run)) is not None]
