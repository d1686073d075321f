"""Two benchmarks of one plan, cell by cell: ratios B over A with their intervals, and flips of ranking.

Servers within one benchmark are compared block by block, as the report does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import msgspec

from bench.judge.rules.rates import is_server_behind
from bench.plan.plan import Environment, Plan
from bench.results.at_one_speed import SpeedChange, ratios_at_one_speed, speed_change
from bench.results.cell import Cell
from bench.results.likeness import check_alike, without_environment
from bench.results.pairs import PairRatio, paired_ratio, valid_runs
from bench.results.ratio import METRICS, Ratio, figures_of, offered_ratio, ratio_of
from bench.results.run import RunResult
from bench.results.significance import FALSE_CLAIMS, holm
from bench.results.summarise import summarise
from bench.results.summary import CellSummary


class Measured(msgspec.Struct, frozen=True):
    """One benchmark as its folder holds it."""

    name: str  # the folder's
    plan: Plan
    environment: Environment
    runs: tuple[RunResult, ...]


class CellComparison(msgspec.Struct, frozen=True):
    """One cell in both benchmarks."""

    cell: Cell  # without its environment
    a: CellSummary
    b: CellSummary
    ratios: tuple[Ratio, ...]  # in the order of METRICS; empty where the cell is invalid in either
    # In the order of SPEED_METRICS: the same, each run at one speed of the machine; () where it isn't known.
    at_one_speed: tuple[Ratio, ...] = ()

    @property
    def is_valid(self) -> bool:
        return self.a.valid and self.b.valid

    @property
    def is_maximum(self) -> bool:
        """Its throughput is what the server could do, or what it was asked for, in both."""
        return self.a.unranked_because is None and self.b.unranked_because is None


class Flip(msgspec.Struct, frozen=True):
    """Two servers whose order by requests/s isn't the same in A and B."""

    contest: Cell  # what both were measured at: a cell without server and environment
    first: str  # the server that is ahead in A
    second: str
    ratio_a: PairRatio  # requests/s of first over second
    ratio_b: PairRatio

    @property
    def p(self) -> float:
        """Of no flip: that of the less sure of the two orders."""
        return max(1.0 if ratio.p is None else ratio.p for ratio in (self.ratio_a, self.ratio_b))


class Comparison(msgspec.Struct, frozen=True):
    """Two benchmarks, cell by cell."""

    a: Measured
    b: Measured
    cells: tuple[CellComparison, ...]  # in A's order
    flips: tuple[Flip, ...]  # those that are resolved
    swaps: tuple[Flip, ...]  # those that may be noise
    speed: SpeedChange | None = None  # of the machines; None: no yardstick was read in either

    @property
    def valid_cells(self) -> tuple[CellComparison, ...]:
        return tuple(cell for cell in self.cells if cell.is_valid)

    @property
    def invalid_cells(self) -> tuple[CellComparison, ...]:
        return tuple(cell for cell in self.cells if not cell.is_valid)


def compare(a: Measured, b: Measured) -> Comparison:
    """Every cell of the plan in A's order. Raises UnlikePlans, naming every difference."""
    check_alike(a.plan, b.plan)
    theirs = {without_environment(cell.cell): cell for cell in summarise(b.plan, b.runs).cells}
    pairs = [(cell, theirs[without_environment(cell.cell)]) for cell in summarise(a.plan, a.runs).cells]
    cells = _claimed(tuple(_cell(ours, other, a.runs, b.runs) for ours, other in pairs))
    flips, swaps = _changed_orders(cells, a.runs, b.runs)
    return Comparison(a, b, cells, flips, swaps, speed_change(a.runs, b.runs))


def _cell(
    a: CellSummary, b: CellSummary, runs_a: Sequence[RunResult], runs_b: Sequence[RunResult]
) -> CellComparison:
    ratios: tuple[Ratio, ...] = ()
    at_one_speed: tuple[Ratio, ...] = ()
    if a.valid and b.valid:
        ours, theirs = valid_runs(a, runs_a), valid_runs(b, runs_b)
        is_met = a.is_open_loop and not any(is_server_behind(one.reasons) for one in (a, b))
        ratios = tuple(
            (offered_ratio if is_met and metric is METRICS[0] else ratio_of)(
                metric, figures_of(metric, ours), figures_of(metric, theirs)
            )
            for metric in METRICS
        )
        at_one_speed = ratios_at_one_speed(a, b, ours, theirs)
    return CellComparison(without_environment(a.cell), a, b, ratios, at_one_speed)


def _claimed(cells: Sequence[CellComparison]) -> tuple[CellComparison, ...]:
    """With Holm's word on every difference, over all figures of all cells, and over all at one speed."""
    as_measured = iter(_judged([ratio for cell in cells for ratio in cell.ratios]))
    at_one_speed = iter(_judged([ratio for cell in cells for ratio in cell.at_one_speed]))
    return tuple(
        msgspec.structs.replace(
            cell,
            ratios=tuple(next(as_measured) for _ in cell.ratios),
            at_one_speed=tuple(next(at_one_speed) for _ in cell.at_one_speed),
        )
        for cell in cells
    )


def _judged(ratios: Sequence[Ratio]) -> list[Ratio]:
    adjusted = iter(holm([ratio.p for ratio in ratios if ratio.p is not None]))
    return [
        ratio
        if ratio.p is None
        else msgspec.structs.replace(ratio, is_claimed=next(adjusted) <= FALSE_CLAIMS)
        for ratio in ratios
    ]


def _changed_orders(
    cells: Sequence[CellComparison], runs_a: Sequence[RunResult], runs_b: Sequence[RunResult]
) -> tuple[tuple[Flip, ...], tuple[Flip, ...]]:
    """Those that stand among all pairs of servers, and those that may be noise."""
    contests: dict[Cell, list[CellComparison]] = {}
    for cell in cells:
        if cell.is_valid and cell.is_maximum and not cell.cell.is_open_loop:
            contests.setdefault(msgspec.structs.replace(cell.cell, server=""), []).append(cell)
    found = [
        _flip(contest, one, other, runs_a, runs_b)
        for contest, members in contests.items()
        for one, other in combinations(members, 2)
    ]
    adjusted = holm([1.0 if flip is None else flip.p for flip in found])
    changed = [(flip, p <= FALSE_CLAIMS) for flip, p in zip(found, adjusted, strict=True) if flip is not None]
    return tuple(flip for flip, stands in changed if stands), tuple(
        flip for flip, stands in changed if not stands
    )


def _flip(
    contest: Cell,
    one: CellComparison,
    other: CellComparison,
    runs_a: Sequence[RunResult],
    runs_b: Sequence[RunResult],
) -> Flip | None:
    in_a, in_b = paired_ratio(one.a, other.a, runs_a), paired_ratio(one.b, other.b, runs_b)
    if in_a.mean is None or in_b.mean is None or (in_a.mean - 1) * (in_b.mean - 1) >= 0:
        return None
    if in_a.mean < 1:
        one, other = other, one
        in_a, in_b = paired_ratio(one.a, other.a, runs_a), paired_ratio(one.b, other.b, runs_b)
    return Flip(contest, one.cell.server, other.cell.server, in_a, in_b)
