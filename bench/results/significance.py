"""How likely a difference is by chance, of one comparison and of several together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bench.results.estimate import CONFIDENCE, t_cumulative

FALSE_CLAIMS = 1 - CONFIDENCE
"""The probability of claiming any difference that isn't there, over all that are judged together."""


def two_sided_p(t: float, degrees: int) -> float:
    """The probability of a |t| as great as this, or greater, where there is no difference."""
    return max(0.0, 2 * (1 - t_cumulative(abs(t), degrees)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: each at most 1, and none below its own.

    To claim those at or below alpha is to make any false claim at all with a probability of at most alpha,
    however the comparisons depend on each other.
    """
    count = len(p_values)
    adjusted = [1.0] * count
    least = 0.0
    for place, index in enumerate(sorted(range(count), key=lambda index: p_values[index])):
        least = max(least, min(1.0, (count - place) * p_values[index]))
        adjusted[index] = least
    return adjusted


def is_beyond(distance: float, deviation: float, count: int, alpha: float) -> bool:
    """Whether the interval of a mean of ``count`` values (1 - alpha) ends short of ``distance`` from it."""
    if distance <= 0 or deviation == 0:
        return distance > 0
    return two_sided_p(distance * math.sqrt(count) / deviation, count - 1) < alpha


def first_true(test: Callable[[int], bool], first: int, last: int) -> int | None:
    """The least number that passes, if all above one that passes do; None: none up to ``last`` does."""
    step, high = 1, first
    while not test(high):
        if high >= last:
            return None
        first, high, step = high + 1, min(high + step, last), 2 * step
    while first < high:
        middle = (first + high) // 2
        if test(middle):
            high = middle
        else:
            first = middle + 1
    return first
