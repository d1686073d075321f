"""The histogram keeps 0.1 % from 1 µs to 1 h and merges exactly."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.wire.histogram import Histogram, bounds_of, index_of, midpoint_of

MICROSECOND = 1_000
HOUR = 3_600_000_000_000
durations = st.integers(MICROSECOND, HOUR) | st.floats(3, 12.556).map(lambda exponent: round(10**exponent))
samples = st.lists(durations, min_size=1, max_size=300)


def of(values: list[int]) -> Histogram:
    return Histogram.from_pairs((index_of(value), 1) for value in values)


@given(durations)
def test_a_bucket_stands_for_its_values_within_a_thousandth(value: int) -> None:
    index = index_of(value)
    lowest, highest = bounds_of(index)
    assert lowest <= value <= highest
    assert abs(midpoint_of(index) - value) <= value / 1000


@given(st.integers(0, 2 * HOUR))
def test_buckets_are_in_order_and_leave_no_gap(value: int) -> None:
    index = index_of(value)
    lowest, highest = bounds_of(index)
    assert index_of(lowest) == index_of(highest) == index
    assert index_of(highest + 1) == index + 1


def test_what_a_clock_can_make_negative_counts_as_nothing() -> None:
    assert {index_of(-value) for value in (1, 5, 1_023, 1_024, 1_025, 5_000_000, 10**9, 1 << 62)} == {0}


@given(samples, st.floats(0, 1))
def test_quantiles_are_within_a_thousandth_of_the_exact_ones(values: list[int], fraction: float) -> None:
    histogram = of(values)
    exact = sorted(values)[max(1, math.ceil(fraction * len(values))) - 1]
    assert histogram.quantile(fraction) == pytest.approx(exact, rel=1e-3)
    assert histogram.mean == pytest.approx(math.fsum(values) / len(values), rel=1e-3)
    assert histogram.quantile(0) == pytest.approx(min(values), rel=1e-3)
    assert histogram.maximum == pytest.approx(max(values), rel=1e-3)
    assert histogram.count == len(values)


@given(st.lists(samples, min_size=1, max_size=5))
def test_merging_parts_gives_the_histogram_of_the_whole(parts: list[list[int]]) -> None:
    merged = Histogram()
    for part in parts:
        merged.add_pairs(of(part).to_pairs())
    whole = of([value for part in parts for value in part])
    assert merged.counts == whole.counts
    assert Histogram.from_pairs(merged.to_pairs()).counts == whole.counts
    assert list(merged.to_pairs()) == sorted(merged.to_pairs())


def test_pairs_that_repeat_an_index_add_up() -> None:
    assert Histogram.from_pairs([[7, 1], [7, 2]]).to_pairs() == ((7, 3),)


@pytest.mark.parametrize("pairs", [[[-1, 1]], [[1, -1]]])
def test_impossible_pairs_are_refused(pairs: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="no such bucket"):
        Histogram.from_pairs(pairs)


def test_an_empty_histogram_says_so() -> None:
    empty = Histogram()
    assert empty.count == 0
    with pytest.raises(ValueError, match="empty"):
        empty.quantile(0.5)
    with pytest.raises(ValueError, match="empty"):
        _ = empty.mean
    with pytest.raises(ValueError, match="empty"):
        _ = empty.maximum
    with pytest.raises(ValueError, match="between 0 and 1"):
        empty.quantile(1.5)
