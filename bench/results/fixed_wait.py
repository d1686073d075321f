"""Whether a histogram of latency has the peak that a timer of about 40 ms leaves in it.

Linux delays an acknowledgement by 40 ms at least, and Nagle's algorithm holds the rest of an answer until it
comes. So such an answer takes no time between a fast one's and 40 ms, whatever else it costs on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.wire.histogram import Histogram, midpoint_of

# Where answers that waited once lie, and below them where none of these can.
PEAK_SECONDS = (0.038, 0.050)
VALLEY_SECONDS = (0.026, 0.038)
# Queueing spreads latency on both sides of its median; a timer leaves the valley empty.
PEAK_OVER_VALLEY = 5.0
NANOSECONDS = 1e9


def peak_share(pairs: Iterable[Sequence[int]], waits: int = 1) -> float | None:
    """Of all answers, those in the peak of ``waits`` waits; 0.0 where there is none.

    ``pairs`` is a histogram's ``[[index, count], ...]``, in nanoseconds. None when it is empty.
    """
    counts = Histogram.from_pairs(pairs).counts
    total = sum(counts.values())
    if not total:
        return None
    inside, below = (_between(counts, *bounds, waits) for bounds in (PEAK_SECONDS, VALLEY_SECONDS))
    return inside / total if inside > PEAK_OVER_VALLEY * below else 0.0


def _between(counts: dict[int, int], low: float, high: float, waits: int) -> int:
    """How many took from ``low`` to below ``high`` seconds, both times ``waits``."""
    start, end = low * waits * NANOSECONDS, high * waits * NANOSECONDS
    return sum(count for index, count in counts.items() if start <= midpoint_of(index) < end)
