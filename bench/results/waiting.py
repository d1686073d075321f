"""Latency with the requests that never got an answer: each took at least as long as it had waited.

Leaving them out makes a server that loses requests look fast. Where requests that were answered took longer,
such a request counts as one of those in equal parts (Kaplan and Meier's estimate): most of what is in flight
at a window's end is answered a moment later, as what was in flight at its begin was. Beyond the slowest
answer it stands where it is, and every figure that falls there is a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from bench.wire.histogram import Histogram, midpoint_of

# What float sums of up to 1e9 parts of requests may be off.
_ROUNDING = 1e-6


class LatencyBound(msgspec.Struct, frozen=True):
    """A latency in nanoseconds. ``at_least``: it may have been more."""

    nanoseconds: float
    at_least: bool


class _Step(msgspec.Struct, frozen=True):
    index: int
    requests: float
    at_least: bool


class LatencySpread:
    """Histograms' ``[[index, count], ...]`` of requests that were answered, and of those that waited in vain.

    Raises ValueError for a negative index or count.
    """

    def __init__(self, answered: Iterable[Sequence[int]], waited: Iterable[Sequence[int]] = ()) -> None:
        self._answered, self._waited = Histogram.from_pairs(answered), Histogram.from_pairs(waited)
        self.answered = self._answered.count
        self.count = self.answered + self._waited.count
        self._steps = self._spread()

    def _spread(self) -> tuple[_Step, ...]:
        answered, waited = self._answered.counts, self._waited.counts
        slowest = max(answered, default=-1)
        steps, part, left = [], 1.0, self.count  # each of those left counts as ``part`` requests
        for index in sorted({*answered, *waited}):
            if here := answered.get(index, 0):
                steps.append(_Step(index, here * part, at_least=False))
                left -= here
            if here := waited.get(index, 0):
                left -= here
                if index < slowest:
                    part *= (left + here) / left
                else:
                    steps.append(_Step(index, here * part, at_least=True))
        return tuple(steps)

    def quantile(self, fraction: float) -> LatencyBound:
        """At rank ceil(fraction * count); ``fraction`` from 0 to 1. Raises ValueError when it is empty."""
        rank = max(1, math.ceil(fraction * self.count - _ROUNDING)) - _ROUNDING
        for step in self._steps:
            rank -= step.requests
            if rank <= 0:
                return LatencyBound(midpoint_of(step.index), step.at_least)
        raise ValueError("nothing has no quantiles")

    @property
    def maximum(self) -> LatencyBound:
        """Raises ValueError when it is empty."""
        return self.quantile(1)

    @property
    def mean(self) -> LatencyBound:
        """Raises ValueError when it is empty."""
        if not self._steps:
            raise ValueError("nothing has no mean")
        total = math.fsum(midpoint_of(step.index) * step.requests for step in self._steps)
        return LatencyBound(total / self.count, any(step.at_least for step in self._steps))
