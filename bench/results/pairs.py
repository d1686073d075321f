"""Two cells of one benchmark, compared block by block.

What slows a whole block slows both of its runs, so that their ratio is steadier than either figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.results.estimate import Estimate, estimate
from bench.results.run import RunResult
from bench.results.summary import CellSummary

Measure = Callable[[RunResult], float | None]
"""A figure of a run; None: the run has none."""


def throughput(run: RunResult) -> float:
    """In requests/s."""
    return run.requests_per_second


def runs_of(cell: CellSummary, runs: Sequence[RunResult]) -> tuple[RunResult, ...]:
    """All runs of the cell, valid or not."""
    return tuple(run for run in runs if run.cell == cell.cell)


def valid_runs(cell: CellSummary, runs: Sequence[RunResult]) -> tuple[RunResult, ...]:
    """The runs of the cell that its figures come from."""
    return tuple(run for run in runs_of(cell, runs) if run.valid)


def block_ratios(
    one: CellSummary, other: CellSummary, runs: Sequence[RunResult], measure: Measure = throughput
) -> list[float]:
    """``one``'s figure over ``other``'s in each block in which both have a valid run with one above 0."""
    ours, theirs = _by_block(one, runs, measure), _by_block(other, runs, measure)
    return [ours[block] / theirs[block] for block in sorted(ours.keys() & theirs.keys())]


def paired_ratio(
    one: CellSummary, other: CellSummary, runs: Sequence[RunResult], measure: Measure = throughput
) -> Estimate:
    """The median of ``block_ratios`` with its interval."""
    return estimate(block_ratios(one, other, runs, measure))


def _by_block(cell: CellSummary, runs: Sequence[RunResult], measure: Measure) -> dict[int, float]:
    found = {run.block: measure(run) for run in valid_runs(cell, runs)}
    return {block: value for block, value in found.items() if value is not None and value > 0}
