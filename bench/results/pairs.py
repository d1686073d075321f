"""Two cells of one benchmark, compared block by block.

What slows a whole block slows both of its runs, so that their ratio is steadier than either figure. The ratio
is the geometric mean of the blocks' ratios. Its interval and its p-value are Student's t on their logarithms,
so that the three agree; and ratios of cells that have the same blocks are transitive, which medians are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev

import msgspec

from bench.results.estimate import half_width
from bench.results.run import RunResult
from bench.results.significance import two_sided_p
from bench.results.summary import CellSummary

Measure = Callable[[RunResult], float | None]
"""A figure of a run; None: the run has none."""
_MOST = 700.0  # the greatest logarithm that a float's exponential can hold, nearly


class PairRatio(msgspec.Struct, frozen=True):
    """One cell's figure over another's, over the blocks in which both have it."""

    mean: float | None  # geometric; None: no block has both
    low: float | None  # of the 95 % interval; None with fewer than two blocks
    high: float | None  # likewise
    p: float | None  # of no difference, two-sided; None with fewer than two blocks
    spread: float | None  # standard deviation of the logarithms of the blocks' ratios; likewise
    logarithms: tuple[float, ...]  # of the blocks' ratios, in the blocks' order

    @property
    def blocks(self) -> int:
        """How many have both figures."""
        return len(self.logarithms)


def throughput(run: RunResult) -> float:
    """In requests/s."""
    return run.requests_per_second


def runs_of(cell: CellSummary, runs: Sequence[RunResult]) -> tuple[RunResult, ...]:
    """All runs of the cell, valid or not."""
    return tuple(run for run in runs if run.cell == cell.cell)


def valid_runs(cell: CellSummary, runs: Sequence[RunResult]) -> tuple[RunResult, ...]:
    """The runs of the cell that its figures come from."""
    return tuple(run for run in runs_of(cell, runs) if run.valid)


def maximum_runs(cell: CellSummary, runs: Sequence[RunResult]) -> tuple[RunResult, ...]:
    """Its valid runs without those whose throughput is no maximum of the server."""
    return tuple(run for run in valid_runs(cell, runs) if not any(reason.unranks for reason in run.reasons))


def by_block(runs: Sequence[RunResult], measure: Measure) -> dict[int, float]:
    """The logarithm of each run's figure, by block. A figure that is not above 0 has none."""
    found = {run.block: measure(run) for run in runs}
    return {block: math.log(value) for block, value in found.items() if value is not None and value > 0}


def ratio_over_blocks(
    ours: Mapping[int, float], theirs: Mapping[int, float], resolution: float = 0.0
) -> PairRatio:
    """``ours`` over ``theirs``, each a block's logarithm as ``by_block`` gives it.

    ``resolution`` is the relative step in which the figure is measured: what it can't resolve is no
    difference.
    """
    logarithms = tuple(ours[block] - theirs[block] for block in sorted(ours.keys() & theirs.keys()))
    if not logarithms:
        return PairRatio(None, None, None, None, None, ())
    centre = fmean(logarithms)
    if len(logarithms) == 1:
        return PairRatio(_exponential(centre), None, None, None, None, logarithms)
    spread, count = stdev(logarithms), len(logarithms)
    least = 2 * math.log1p(resolution)
    half = max(half_width(spread, count), least)
    return PairRatio(
        mean=_exponential(centre),
        low=_exponential(centre - half),
        high=_exponential(centre + half),
        p=_p_value(centre, spread, count, least),
        spread=spread,
        logarithms=logarithms,
    )


def paired_ratio(
    one: CellSummary, other: CellSummary, runs: Sequence[RunResult], measure: Measure = throughput
) -> PairRatio:
    """``one``'s figure over ``other``'s, over the blocks in which both have a valid run.

    By throughput, these are runs that are a maximum of their server.
    """
    counted = maximum_runs if measure is throughput else valid_runs
    ours, theirs = (by_block(counted(cell, runs), measure) for cell in (one, other))
    return ratio_over_blocks(ours, theirs)


def _p_value(centre: float, spread: float, count: int, least: float) -> float:
    if abs(centre) <= least:
        return 1.0
    if spread == 0:
        return 0.0
    return two_sided_p(centre * math.sqrt(count) / spread, count - 1)


def _exponential(value: float) -> float:
    return math.exp(max(-_MOST, min(_MOST, value)))
