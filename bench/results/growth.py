"""How fast a server's memory grows under load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

import msgspec

from bench.results.estimate import half_width

# A server that grows by less can run for months; noise of allocators is of this order in a window.
GROWTH_MATTERS_BYTES_PER_SECOND = 1_000_000 / 60
# An interval from fewer blocks is wider than any growth that could matter.
BLOCKS = 10
# Of memory that wanders, the least-squares slope has 6/5 of the variance that its ends' slope has, and that
# has 3/2 of what steps between means, which are smoothed, show of it.
SLOPE_VARIANCE = 1.2 * 1.5


class Growth(msgspec.Struct, frozen=True):
    """The slope of memory in the window, of a cell over its runs; falling memory is below 0."""

    bytes_per_second: float
    low: float | None  # of the 95 % interval; None: too little was sampled for one
    high: float | None  # likewise

    @property
    def matters(self) -> bool:
        """It grows for certain, and by an amount that does harm in time."""
        return (
            self.low is not None and self.low > 0 and self.bytes_per_second >= GROWTH_MATTERS_BYTES_PER_SECOND
        )


def growth_of(points: Sequence[tuple[float, float]]) -> Growth | None:
    """The least-squares slope of ``points`` (seconds, bytes), in the order of time; None for fewer than two.

    Memory goes in steps that stay, so that neighbouring samples tell next to nothing of each other: the
    interval is Student's t on the steps between the means of ten equal parts of the time.
    """
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return None
    slope = _slope(points)
    start, length = points[0][0], (points[-1][0] - points[0][0]) / BLOCKS
    parts: list[list[tuple[float, float]]] = [[] for _ in range(BLOCKS)]
    for point in points:
        parts[min(BLOCKS - 1, int((point[0] - start) / length))].append(point)
    if not all(parts):
        return Growth(slope, None, None)
    times = [fmean(t for t, _ in part) for part in parts]
    sizes = [fmean(size for _, size in part) for part in parts]
    steps = [
        (later - earlier) / (then - before)
        for earlier, later, before, then in zip(sizes, sizes[1:], times, times[1:], strict=False)
    ]
    half = math.sqrt(SLOPE_VARIANCE) * half_width(stdev(steps), len(steps))
    return Growth(slope, slope - half, slope + half)


def growth_over(found: Sequence[Growth]) -> Growth | None:
    """Over a cell's runs: their mean with its 95 % interval; a single run has its own."""
    if len(found) < 2:
        return found[0] if found else None
    slopes = [one.bytes_per_second for one in found]
    middle, half = fmean(slopes), half_width(stdev(slopes), len(slopes))
    return Growth(middle, middle - half, middle + half)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    middle_time, middle_size = fmean(t for t, _ in points), fmean(size for _, size in points)
    spread = sum((t - middle_time) ** 2 for t, _ in points)
    return sum((t - middle_time) * (size - middle_size) for t, size in points) / spread
