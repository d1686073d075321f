"""How likely a difference is by chance, of one comparison and of several together."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.estimate import t_cumulative


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
