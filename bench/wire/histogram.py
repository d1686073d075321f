"""Log-linear histograms of durations, exact to merge.

Values are whole nanoseconds. A value below 1,024 ns has a bucket of its own; above, each power of two is
divided into 512 equal buckets, so a bucket is at most 1/512 of its lower end wide and its midpoint is
within 1/1024 (0.098 %) of every value in it, from 1 µs to 1 h and on. Buckets are sparse: only those that
hold something exist. ``index_of`` is three integer operations; the engine has them inlined.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from bench.wire.slices import Pairs

_KEPT_BITS = 10  # of the value's leading bits; the first is always 1
_SUB_BUCKET_BITS = _KEPT_BITS - 1


def index_of(value_nanoseconds: int) -> int:
    """The bucket of a value; negative values count as 0."""
    if value_nanoseconds < 0:
        return 0
    shift = value_nanoseconds.bit_length() - _KEPT_BITS
    return (shift << _SUB_BUCKET_BITS) + (value_nanoseconds >> shift) if shift > 0 else value_nanoseconds


def bounds_of(index: int) -> tuple[int, int]:
    """The lowest and the highest value of a bucket, both inclusive, in nanoseconds."""
    shift = max((index >> _SUB_BUCKET_BITS) - 1, 0)
    lowest = (index - (shift << _SUB_BUCKET_BITS)) << shift
    return lowest, lowest + (1 << shift) - 1


def midpoint_of(index: int) -> float:
    """What a bucket stands for, in nanoseconds."""
    lowest, highest = bounds_of(index)
    return (lowest + highest) / 2


class Histogram:
    """Counts of durations by bucket. ``add_pairs`` merges: it adds, so it is exact in any order."""

    __slots__ = ("counts",)

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts: dict[int, int] = {} if counts is None else counts

    @classmethod
    def from_pairs(cls, pairs: Iterable[Sequence[int]]) -> Histogram:
        """From ``[[index, count], ...]``; an index that comes twice is added up.

        Raises ValueError for a negative index or count.
        """
        histogram = cls()
        histogram.add_pairs(pairs)
        return histogram

    def to_pairs(self) -> Pairs:
        """``(index, count)`` in rising order."""
        return tuple(sorted(self.counts.items()))

    def add_pairs(self, pairs: Iterable[Sequence[int]]) -> None:
        """Add ``[[index, count], ...]``. Raises ValueError for a negative index or count."""
        counts = self.counts
        for index, count in pairs:
            if index < 0 or count < 0:
                raise ValueError(f"no such bucket or count: [{index}, {count}]")
            counts[index] = counts.get(index, 0) + count

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def quantile(self, fraction: float) -> float:
        """The value at rank ceil(fraction * count), in nanoseconds; fraction from 0 (least) to 1 (greatest).

        Raises ValueError when the histogram is empty or the fraction out of range.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"a quantile is between 0 and 1, not {fraction}")
        rank = max(1, math.ceil(fraction * self.count))
        for index in sorted(self.counts):
            rank -= self.counts[index]
            if rank <= 0:
                return midpoint_of(index)
        raise ValueError("an empty histogram has no quantiles")

    @property
    def maximum(self) -> float:
        """Within the resolution, in nanoseconds. Raises ValueError when empty."""
        return self.quantile(1)

    @property
    def mean(self) -> float:
        """Within the resolution, in nanoseconds. Raises ValueError when empty."""
        if not (count := self.count):
            raise ValueError("an empty histogram has no mean")
        return math.fsum(midpoint_of(index) * times for index, times in self.counts.items()) / count
