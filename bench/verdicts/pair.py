"""Two servers by one figure: which is better, and whether that may be said.

Three steps: each pair's ratio over the blocks that both have, Holm's correction over all pairs that are
judged together, and each pair's verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

import msgspec

from bench.results.pairs import PairRatio
from bench.results.significance import FALSE_CLAIMS, first_true, holm, is_beyond
from bench.results.summary import CellSummary

LEVEL_MARGIN = 1.05
"""Servers whose ratio surely lies between 1/1.05 and 1.05 are called level: no reason to choose by."""
MOST_BLOCKS = 1_000


class Verdict(Enum):
    """What may be said of two servers. A pair without an interval had one block, one without a ratio none."""

    AHEAD = "ahead"
    LEVEL = "level"
    UNRESOLVED = "not resolved"
    UNKNOWN = "no interval"
    APART = "no common block"


class Pair(msgspec.Struct, frozen=True):
    """Two cells before they are judged, the better first: ``ratio`` as in PairVerdict."""

    better: CellSummary
    other: CellSummary
    ratio: PairRatio


class PairVerdict(msgspec.Struct, frozen=True):
    """``ratio`` says how many times better ``better``'s figure is: it is never below 1.

    That is better's over other's where more is better, and other's over better's where less is.
    """

    better: CellSummary
    other: CellSummary
    ratio: PairRatio
    verdict: Verdict
    p_adjusted: float | None  # Holm's, over ``of``; None without an interval
    of: int  # how many pairs were judged together
    more_blocks: int | None = None  # that would settle it; None: too many, or it is settled

    @property
    def may_be_chance(self) -> bool:
        """Its own interval excludes 1, which among so many pairs is no proof."""
        return self.verdict is Verdict.UNRESOLVED and self.ratio.low is not None and self.ratio.low > 1


def judge_pairs(pairs: Sequence[Pair]) -> list[PairVerdict]:
    """A verdict for each, in the order given. What is judged together is what is claimed together."""
    adjusted = holm([pair.ratio.p for pair in pairs if pair.ratio.p is not None])
    left = sum(p > FALSE_CLAIMS for p in adjusted)
    each = iter(adjusted)
    return [
        _judged(pair, None if pair.ratio.p is None else next(each), len(adjusted), left) for pair in pairs
    ]


def _judged(pair: Pair, p_adjusted: float | None, of: int, left: int) -> PairVerdict:
    verdict = _verdict(pair.ratio, p_adjusted)
    more = _more_blocks(pair.ratio, left) if verdict is Verdict.UNRESOLVED else None
    return PairVerdict(pair.better, pair.other, pair.ratio, verdict, p_adjusted, of, more)


def _verdict(ratio: PairRatio, p_adjusted: float | None) -> Verdict:
    if ratio.mean is None:
        return Verdict.APART
    if ratio.low is None or ratio.high is None or p_adjusted is None:
        return Verdict.UNKNOWN
    if ratio.low >= 1 / LEVEL_MARGIN and ratio.high <= LEVEL_MARGIN:
        return Verdict.LEVEL
    if ratio.low > 1 and p_adjusted <= FALSE_CLAIMS:
        return Verdict.AHEAD
    return Verdict.UNRESOLVED


def _more_blocks(ratio: PairRatio, left: int) -> int | None:
    """How many more blocks would settle it, if spread and ratio stay as they are; None if too many.

    Settled is a lead that excludes 1 as surely as it must among ``left`` pairs without one, or an interval
    within the margin: whichever comes first.
    """
    if ratio.mean is None or ratio.spread is None:
        return None
    distance, spread = math.log(ratio.mean), ratio.spread

    def is_settled(blocks: int) -> bool:
        is_ahead = is_beyond(distance, spread, blocks, FALSE_CLAIMS / max(1, left))
        return is_ahead or is_beyond(math.log(LEVEL_MARGIN) - distance, spread, blocks, FALSE_CLAIMS)

    needed = first_true(is_settled, ratio.blocks + 1, ratio.blocks + MOST_BLOCKS)
    return None if needed is None else needed - ratio.blocks
