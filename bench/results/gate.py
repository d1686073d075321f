"""A gate on a comparison: whether B is worse than A by more than a share, beyond the uncertainty."""

from __future__ import annotations

import msgspec

from bench.errors import GateFailed, GateUndecided
from bench.results.cell import Cell
from bench.results.comparison import Comparison
from bench.results.ratio import Ratio


class Gate(msgspec.Struct, frozen=True):
    """What --fail-over found: cells, each with the figure that it is about."""

    share: float  # 0.05 for 5 %
    worse: tuple[tuple[Cell, Ratio], ...]  # by more than share, beyond the uncertainty
    possible: tuple[tuple[Cell, Ratio], ...]  # that they are isn't shown, and can't be excluded
    undecided: tuple[tuple[Cell, Ratio], ...]  # without an interval or a figure
    invalid: tuple[Cell, ...]  # cells that say nothing of their server


def gate(comparison: Comparison, share: float) -> Gate:
    """Throughput, p99 and memory of every cell against ``share`` (0.05 for 5 %)."""
    judged = [
        (cell.cell, ratio)
        for cell in comparison.valid_cells
        for ratio in cell.ratios
        if ratio.metric.is_gated
    ]
    worse = tuple((cell, ratio) for cell, ratio in judged if ratio.is_worse_by(share))
    return Gate(
        share=share,
        worse=worse,
        possible=tuple(
            (cell, ratio)
            for cell, ratio in judged
            if ratio.may_be_worse_by(share) and not ratio.is_worse_by(share)
        ),
        undecided=tuple((cell, ratio) for cell, ratio in judged if ratio.low is None),
        invalid=tuple(cell.cell for cell in comparison.invalid_cells),
    )


def gate_error(found: Gate) -> GateFailed | GateUndecided | None:
    """GateFailed names the cells that are worse, GateUndecided those that could not be judged."""
    share = f"{found.share * 100:g} %"
    if found.worse:
        names = ", ".join(f"{_title(cell)} ({ratio.metric.title})" for cell, ratio in found.worse)
        return GateFailed(
            f"B is worse than A by more than {share}: {names}",
            remedy="Measure again if the hosts weren't quiet; else see the page for what differs",
        )
    titles = [_title(cell) for cell in (*(cell for cell, _ in found.undecided), *found.invalid)]
    if titles:
        names = ", ".join(dict.fromkeys(titles))
        return GateUndecided(
            f"whether B is worse than A by more than {share} can't be told of {names}",
            remedy="Measure both with --profile review, whose repeats give intervals; mend what is invalid",
        )
    return None


def _title(cell: Cell) -> str:
    return cell.title if cell.workers == 1 else f"{cell.title}, {cell.workers} workers"
