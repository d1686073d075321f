"""How a server's throughput grows with its workers: efficiency, imbalance, and what each worker takes.

Efficiency is throughput(N) / (N x throughput(1)): 1 is linear. It is the ratio of two cells of one benchmark,
block by block (bench/results/pairs.py), over N; so is its interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from bench.results.cell import Cell
from bench.results.pairs import PairRatio, paired_ratio
from bench.results.run import RunResult
from bench.results.summary import CellSummary, Summary


class WorkerMemory(msgspec.Struct, frozen=True):
    """Memory of the server's tree under load, by worker. None: it isn't known."""

    rss_bytes: float | None  # the tree's RSS over its workers; shared pages count once for each process
    pss_bytes: float | None
    # What each worker beyond the first adds to the tree, on average; None at one worker too.
    added_rss_bytes: float | None = None
    added_pss_bytes: float | None = None


class Efficiency(msgspec.Struct, frozen=True):
    """Throughput over N times that of one worker, over the blocks that have both."""

    mean: float  # 1.0: linear
    low: float | None  # of the 95 % interval; None with fewer than two blocks
    high: float | None  # likewise
    blocks: int

    @property
    def is_known(self) -> bool:
        """It has an interval."""
        return self.low is not None and self.high is not None


class ScalingPoint(msgspec.Struct, frozen=True):
    """One cell of a curve."""

    cell: CellSummary
    efficiency: Efficiency | None  # None: no block has a maximum of both; at one worker it is 1
    memory: WorkerMemory
    imbalance: float | None  # as in CellSummary

    @property
    def workers(self) -> int:
        return self.cell.workers


class ScalingCurve(msgspec.Struct, frozen=True):
    """Cells that differ in nothing but the number of workers, the fewest first."""

    points: tuple[ScalingPoint, ...]

    @property
    def first(self) -> CellSummary:
        return self.points[0].cell

    @property
    def server(self) -> str:
        return self.first.server

    @property
    def balancer(self) -> str:
        return self.first.balancer

    @property
    def most(self) -> ScalingPoint:
        """With the most workers."""
        return self.points[-1]


def scaling_curves(summary: Summary, runs: Sequence[RunResult]) -> tuple[ScalingCurve, ...]:
    """Every curve with two numbers of workers or more, in the plan's order of servers, then endpoints."""
    found: dict[Cell, list[CellSummary]] = {}
    for cell in summary.closed_loop_cells:
        found.setdefault(msgspec.structs.replace(cell.cell, workers=0), []).append(cell)
    return tuple(
        _curve(sorted(cells, key=lambda cell: cell.workers), runs)
        for cells in found.values()
        if len(cells) > 1
    )


def _curve(cells: Sequence[CellSummary], runs: Sequence[RunResult]) -> ScalingCurve:
    one = cells[0] if cells[0].workers == 1 and cells[0].valid else None
    return ScalingCurve(tuple(_point(cell, one, runs) for cell in cells))


def _point(cell: CellSummary, one: CellSummary | None, runs: Sequence[RunResult]) -> ScalingPoint:
    return ScalingPoint(
        cell=cell,
        efficiency=None if one is None or not cell.valid else efficiency(cell, one, runs),
        memory=worker_memory(cell, one),
        imbalance=cell.imbalance if cell.valid else None,
    )


def efficiency(cell: CellSummary, one: CellSummary, runs: Sequence[RunResult]) -> Efficiency | None:
    """Of ``cell`` against ``one``, the same with one worker; None where no block has a maximum of both."""
    return over_workers(paired_ratio(cell, one, runs), cell.workers)


def over_workers(ratio: PairRatio, workers: int) -> Efficiency | None:
    """A ratio of throughputs as an efficiency."""
    if ratio.mean is None or not math.isfinite(ratio.mean):
        return None
    low, high = (None if bound is None else bound / workers for bound in (ratio.low, ratio.high))
    return Efficiency(ratio.mean / workers, low, high, ratio.blocks)


def worker_memory(cell: CellSummary, one: CellSummary | None) -> WorkerMemory:
    """Of a valid cell; ``one`` is the same with one worker, None: it wasn't measured."""
    if not cell.valid:
        return WorkerMemory(None, None)
    amounts = [found.median if found else None for found in (cell.rss_bytes, cell.pss_bytes)]
    each = [None if amount is None else amount / cell.workers for amount in amounts]
    if one is None or cell.workers == 1:
        return WorkerMemory(*each)
    of_one = [found.median if found else None for found in (one.rss_bytes, one.pss_bytes)]
    more = cell.workers - 1
    added = [
        None if amount is None or first is None else (amount - first) / more
        for amount, first in zip(amounts, of_one, strict=True)
    ]
    return WorkerMemory(*each, *added)
