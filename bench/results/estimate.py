"""A figure over repeats: its median with its 95 % interval.

The interval is Student's t on the logarithms of the runs' figures, back on the figures' own scale. A ratio
scale suits throughput (noise is a share of the figure), a few runs are enough for it, and for a log-normal
figure it bounds the median itself. Order statistics, which assume less, reach 95 % from six runs on only.
Where the sample's median lies outside (skewed runs), the interval is widened to hold it, never narrowed.
It says how the figure would vary over repeats on these hosts, not over other hosts or days.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median, stdev

import msgspec

CONFIDENCE = 0.95


class Estimate(msgspec.Struct, frozen=True):
    """A figure over repeats. None: no run has it."""

    median: float | None
    low: float | None  # of the 95 % interval; None with fewer than two runs
    high: float | None  # likewise
    runs: int  # how many have the figure


def estimate(values: Sequence[float]) -> Estimate:
    """The median with its 95 % interval; no interval for fewer than two values or any that is not above 0."""
    count = len(values)
    if count == 0:
        return Estimate(None, None, None, 0)
    middle = median(values)
    if count == 1 or min(values) <= 0:
        return Estimate(middle, None, None, count)
    logarithms = [math.log(value) for value in values]
    centre = fmean(logarithms)
    half = half_width(stdev(logarithms), count)
    # exp(log(x)) may miss x by an ulp: equal runs have an interval of no width around the median.
    low = min(math.exp(centre - half), middle)
    high = max(math.exp(centre + half), middle)
    return Estimate(middle, low, high, count)


def half_width(deviation: float, count: int) -> float:
    """Half of the 95 % interval of a mean of ``count`` >= 2 values with this sample deviation."""
    return t_quantile(0.5 + CONFIDENCE / 2, count - 1) * deviation / math.sqrt(count)


def t_quantile(probability: float, degrees: int) -> float:
    """The inverse of Student's t distribution for whole degrees of freedom, by bisection to 1e-12.

    Raises ValueError unless 0.5 <= ``probability`` < 1 and ``degrees`` >= 1.
    """
    if not 0.5 <= probability < 1 or degrees < 1:
        raise ValueError(f"no t quantile for probability {probability}, {degrees} degrees of freedom")
    low, high = 0.0, 1.0
    while t_cumulative(high, degrees) < probability:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if t_cumulative(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def t_cumulative(value: float, degrees: int) -> float:
    """P(T <= value) for ``value`` >= 0: the finite series of Abramowitz and Stegun 26.7.3 and 26.7.4."""
    angle = math.atan2(value, math.sqrt(degrees))
    cosine_squared = math.cos(angle) ** 2
    first = 1 + degrees % 2
    term = 1.0 if degrees % 2 == 0 else math.cos(angle)
    total = 0.0
    for k in range(first, degrees, 2):
        total += term
        term *= cosine_squared * k / (k + 1)
    inside = total * math.sin(angle)
    if degrees % 2 == 1:
        inside = (angle + inside) * 2 / math.pi
    return 0.5 + inside / 2
