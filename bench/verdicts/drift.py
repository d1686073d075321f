"""Whether the ratio of two servers wanders from block to block: the blocks then aren't independent.

Von Neumann's ratio, of the squares of successive differences to those from the mean, is 2 on average for
independent blocks and less for blocks that follow the one before. From 8 blocks on its distribution is close
enough to a normal one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist, fmean

from bench.results.significance import FALSE_CLAIMS, holm
from bench.verdicts.pair import PairVerdict

LEAST_BLOCKS = 8


def drifting(pairs: Sequence[PairVerdict]) -> tuple[PairVerdict, ...]:
    """Those whose ratio surely wanders, judged together: their intervals are too narrow."""
    known = [(pair, p) for pair in pairs if (p := _p_value(pair.ratio.logarithms)) is not None]
    adjusted = holm([p for _, p in known])
    return tuple(pair for (pair, _), p in zip(known, adjusted, strict=True) if p <= FALSE_CLAIMS)


def _p_value(logarithms: Sequence[float]) -> float | None:
    """Of so small a ratio, if blocks are independent; None: too few blocks, or they are all equal."""
    count, middle = len(logarithms), fmean(logarithms) if logarithms else 0.0
    squares = sum((value - middle) ** 2 for value in logarithms)
    if count < LEAST_BLOCKS or squares == 0:
        return None
    ratio = sum((later - earlier) ** 2 for earlier, later in pairwise(logarithms)) / squares
    return NormalDist(2, math.sqrt(4 * (count - 2) / (count**2 - 1))).cdf(ratio)
