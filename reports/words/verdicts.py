"""Who is ahead, and how sure that is. Pure functions from runs to comparisons.

Two servers are compared by the ratio of their figures within each block, where they were measured minutes
apart: what slows a whole block slows both. The ratio's median and 95 % interval are those that
bench.results.summary.estimate gives of those ratios. Each interval is of one pair and is not widened for the
number of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from statistics import stdev

from bench.results.estimate import Estimate, half_width
from bench.results.pairs import block_ratios, paired_ratio
from bench.results.run import RunResult
from bench.results.summary import CellSummary, Summary
from reports.words.numbers import counted

LEVEL_MARGIN = 1.05
"""Servers whose ratio surely lies between 1/1.05 and 1.05 are called level: no reason to choose by."""
_MOST_BLOCKS = 1_000


class Verdict(Enum):
    AHEAD = "ahead"
    LEVEL = "level"
    UNRESOLVED = "not resolved"
    UNKNOWN = "one run each"


@dataclass(frozen=True)
class PairVerdict:
    """``ratio`` is ``better``'s figure over ``other``'s. ``more_blocks`` is set where UNRESOLVED."""

    better: CellSummary
    other: CellSummary
    ratio: Estimate
    verdict: Verdict
    more_blocks: int | None = None


@dataclass(frozen=True)
class Contest:
    """The cells that may be compared: one endpoint, one number of workers, one load level.

    ``ranked`` are the valid ones, the fastest first; ``steps`` compares each with the next, so it is one
    shorter. ``refused`` are those that say nothing about their server.
    """

    endpoint: str
    workers: int
    connections: int
    ranked: tuple[CellSummary, ...]
    refused: tuple[CellSummary, ...]
    steps: tuple[PairVerdict, ...]

    @property
    def cells(self) -> tuple[CellSummary, ...]:
        return self.ranked + self.refused


Labelled = Sequence[tuple[str, Contest]]
"""Contests with their labels, in the report's order."""


def contests(summary: Summary, runs: Sequence[RunResult], endpoints: Sequence[str]) -> tuple[Contest, ...]:
    """One contest for each endpoint (in this order), number of workers and closed-loop load level."""
    cells = summary.closed_loop_cells
    keys = dict.fromkeys((cell.endpoint, cell.workers, cell.connections) for cell in cells)
    order = {name: index for index, name in enumerate(endpoints)}
    return tuple(
        _contest([cell for cell in cells if _key(cell) == key], runs)
        for key in sorted(keys, key=lambda key: (order[key[0]], key[1], key[2]))
    )


def label_of(contest: Contest, all_contests: Sequence[Contest]) -> str:
    """The endpoint, with workers and connections where the benchmark has several of them."""
    parts = [contest.endpoint]
    if len({other.workers for other in all_contests}) > 1:
        parts.append(counted(contest.workers, "worker"))
    if len({other.connections for other in all_contests}) > 1:
        parts.append(counted(contest.connections, "connection"))
    return ", ".join(parts)


def pair_verdict(better: CellSummary, other: CellSummary, runs: Sequence[RunResult]) -> PairVerdict:
    ratio = paired_ratio(better, other, runs)
    if ratio.low is None or ratio.high is None:
        return PairVerdict(better, other, ratio, Verdict.UNKNOWN)
    if ratio.low >= 1 / LEVEL_MARGIN and ratio.high <= LEVEL_MARGIN:
        return PairVerdict(better, other, ratio, Verdict.LEVEL)
    if ratio.low > 1:
        return PairVerdict(better, other, ratio, Verdict.AHEAD)
    return PairVerdict(better, other, ratio, Verdict.UNRESOLVED, _more_blocks(better, other, runs))


def _contest(cells: Sequence[CellSummary], runs: Sequence[RunResult]) -> Contest:
    valid = [cell for cell in cells if cell.valid and cell.requests_per_second.median is not None]
    ranked = sorted(valid, key=lambda cell: -(cell.requests_per_second.median or 0.0))
    steps = tuple(pair_verdict(better, other, runs) for better, other in pairwise(ranked))
    refused = tuple(cell for cell in cells if cell not in valid)
    return Contest(*_key(cells[0]), tuple(ranked), refused, steps)


def _key(cell: CellSummary) -> tuple[str, int, int]:
    return cell.endpoint, cell.workers, cell.connections


def _more_blocks(better: CellSummary, other: CellSummary, runs: Sequence[RunResult]) -> int | None:
    """How many more blocks would settle it, if spread and ratio stay as they are; None if too many.

    Settled is a lead that excludes 1, or an interval within the margin: whichever comes first.
    """
    logs = [math.log(ratio) for ratio in block_ratios(better, other, runs)]
    distance = abs(sum(logs) / len(logs))
    enough = max(distance, math.log(LEVEL_MARGIN) - distance)
    for count in range(len(logs) + 1, _MOST_BLOCKS):
        if half_width(stdev(logs), count) < enough:
            return count - len(logs)
    return None
