"""One figure in two benchmarks: the ratio B over A with its interval.

The runs of A and B have no block in common, so a ratio's interval is Welch's on the logarithms of the runs'
figures (neither the spread nor the number of runs need be equal), widened to hold the ratio of the medians.
It says how the ratio would vary over repeats on these hosts on these days. Each interval is of one figure and
not widened for their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum
from statistics import fmean, median, variance

import msgspec

from bench.results.estimate import CONFIDENCE, t_quantile
from bench.results.run import RunResult


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
    WITHIN_NOISE = "within noise"
    NO_INTERVAL = "no interval"
    NOT_MEASURED = "not measured"


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

    @property
    def change(self) -> Change:
        """What the interval allows to say: a difference only if it lies wholly on one side of 1."""
        if self.median is None:
            return Change.NOT_MEASURED
        if self.low is None or self.high is None:
            return Change.NO_INTERVAL
        if self.low <= 1 <= self.high:
            return Change.WITHIN_NOISE
        return Change.BETTER if (self.low > 1) == self.metric.more_is_better else Change.WORSE

    def is_worse_by(self, share: float) -> bool:
        """The whole interval is worse than 1 by more than ``share``: B is worse beyond the uncertainty."""
        if self.low is None or self.high is None:
            return False
        return self.high < 1 - share if self.metric.more_is_better else self.low > 1 + share

    def may_be_worse_by(self, share: float) -> bool:
        """Part of the interval is worse than 1 by more than ``share``: that B is can't be excluded."""
        if self.low is None or self.high is None:
            return False
        return self.low < 1 - share if self.metric.more_is_better else self.high > 1 + share


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
    centre, half = _welch([math.log(value) for value in a], [math.log(value) for value in b])
    # Equal figures of a coarse measure have no spread; what they can't resolve is no difference either.
    half = max(half, 2 * math.log1p(metric.resolution))
    return msgspec.structs.replace(
        known, low=min(math.exp(centre - half), middle), high=max(math.exp(centre + half), middle)
    )


def _welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The difference of the means, b less a, and half of its 95 % interval."""
    parts = [variance(values) / len(values) for values in (a, b)]
    centre, total = fmean(b) - fmean(a), sum(parts)
    if total == 0:
        return centre, 0.0
    shares = [(part / total) ** 2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True)]
    # Whole degrees of freedom, rounded down: the interval is wider for it, never narrower.
    degrees = max(1, math.floor(1 / sum(shares) + 1e-9))
    return centre, t_quantile(0.5 + CONFIDENCE / 2, degrees) * math.sqrt(total)


def figures_of(metric: Metric, runs: Sequence[RunResult]) -> list[float]:
    """The metric's figure of each run that has one."""
    return [figure for run in runs if (figure := metric.of(run)) is not None]
