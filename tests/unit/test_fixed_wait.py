"""The peak that a wait of 40 ms leaves in a histogram of latency."""

from __future__ import annotations

import random

import pytest

from bench.results.fixed_wait import peak_share
from bench.wire.histogram import Histogram, index_of
from bench.wire.slices import Pairs


def pairs(*milliseconds: float) -> Pairs:
    found = Histogram()
    found.add_pairs((index_of(round(one * 1e6)), 1) for one in milliseconds)
    return found.to_pairs()


def test_without_answers_nothing_is_known() -> None:
    assert peak_share(()) is None


def test_answers_of_one_wait_and_of_two_are_told_apart() -> None:
    fast, once, twice = [3.0] * 5, [44.0] * 4, [84.0]
    assert peak_share(pairs(*fast, *once, *twice)) == pytest.approx(0.4)
    assert peak_share(pairs(*fast, *once, *twice), waits=2) == pytest.approx(0.1)
    assert peak_share(pairs(*fast)) == 0.0


def test_a_queue_that_takes_forty_milliseconds_is_no_peak() -> None:
    """A closed loop of 50 connections at 1,250/s has that latency, with answers on both sides of it."""
    chance = random.Random(1)
    queue = [chance.gauss(40, 8) for _ in range(5_000)]
    assert peak_share(pairs(*queue)) == 0.0
    timer = [40 + chance.expovariate(1 / 4) for _ in range(5_000)]
    assert peak_share(pairs(*timer)) == pytest.approx(0.92, abs=0.02)
