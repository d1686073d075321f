"""A gate on a comparison: whether B is worse than A by more than a share, beyond the uncertainty.

It passes only where every gated figure of every cell is shown to be within the share, by its whole interval.
If any is in truth worse by more, it passes in at most 2.5 % of cases, however many figures there are. It
fails where Holm's method lets some figure stand, among all of them, as worse by more: if none is, in at most
2.5 % of cases. Otherwise it is undecided. docs/verdicts.md has its power.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.errors import GateFailed, GateUndecided
from bench.results.cell import Cell
from bench.results.comparison import Comparison
from bench.results.ratio import Ratio
from bench.results.significance import FALSE_CLAIMS, holm

MOST_RUNS = 200
_THROUGHPUT = ("requests_per_second", "requests_per_second_per_core")


class Gated(msgspec.Struct, frozen=True):
    """One figure of one cell, to be judged."""

    cell: Cell
    ratio: Ratio
    is_maximum: bool = True  # False: the throughput of a server that wasn't at its limit


class Unsettled(msgspec.Struct, frozen=True):
    """A figure of which the gate can't tell whether it is worse by more than the share."""

    cell: Cell
    ratio: Ratio
    is_maximum: bool  # as Gated has it
    more_blocks: int | None  # in A and in B each, that would settle it; None: too many, or it has no interval


class Gate(msgspec.Struct, frozen=True):
    """What --fail-over found: cells, each with the figure that it is about."""

    share: float  # 0.05 for 5 %
    worse: tuple[tuple[Cell, Ratio], ...]  # by more than share, beyond the uncertainty
    unsettled: tuple[Unsettled, ...]  # neither that, nor shown to be within it
    invalid: tuple[Cell, ...]  # cells that say nothing of their server

    @property
    def passes(self) -> bool:
        """Every figure is shown to be within the share."""
        return not (self.worse or self.unsettled or self.invalid)

    @property
    def more_blocks(self) -> int | None:
        """How many more would settle all that more blocks can settle; None: they settle nothing."""
        return max((one.more_blocks for one in self.unsettled if one.more_blocks is not None), default=None)


def gate(comparison: Comparison, share: float) -> Gate:
    """Throughput, p99 and memory of every cell against ``share`` (0.05 for 5 %)."""
    figures = [
        Gated(cell.cell, ratio, cell.is_maximum or ratio.metric.name not in _THROUGHPUT)
        for cell in comparison.valid_cells
        for ratio in cell.ratios
        if ratio.metric.is_gated and not ratio.is_offered
    ]
    return gate_of(figures, tuple(cell.cell for cell in comparison.invalid_cells), share)


def gate_of(figures: Sequence[Gated], invalid: tuple[Cell, ...], share: float) -> Gate:
    worse = _worse(figures, share)
    return Gate(
        share=share,
        worse=tuple((one.cell, one.ratio) for one in worse),
        unsettled=tuple(
            _unsettled(one, share)
            for one in figures
            if one not in worse and not (one.is_maximum and one.ratio.is_within(share))
        ),
        invalid=invalid,
    )


def gate_error(found: Gate) -> GateFailed | GateUndecided | None:
    """GateFailed names the cells that are worse, GateUndecided those that could not be judged."""
    share = f"{found.share * 100:g} %"
    if found.worse:
        worse = ", ".join(f"{_title(cell)} ({ratio.metric.title})" for cell, ratio in found.worse)
        return GateFailed(
            f"B is worse than A by more than {share}: {worse}",
            remedy="Measure again if the hosts weren't quiet; else see the page for what differs",
        )
    if found.passes:
        return None
    by_cell: dict[str, list[str]] = {}
    for one in found.unsettled:
        by_cell.setdefault(_title(one.cell), []).append(one.ratio.metric.title)
    names = [f"{title} ({', '.join(titles)})" for title, titles in by_cell.items()]
    names += [f"{_title(cell)} (invalid)" for cell in found.invalid]
    return GateUndecided(
        f"whether B is worse than A by more than {share} can't be told of {', '.join(names)}",
        remedy=_remedy(found),
    )


def _worse(figures: Sequence[Gated], share: float) -> list[Gated]:
    known = [one for one in figures if one.is_maximum and one.ratio.difference is not None]
    adjusted = holm([one.ratio.p_worse_by(share) or 0.0 for one in known])
    return [
        one
        for one, p in zip(known, adjusted, strict=True)
        if one.ratio.is_worse_by(share) and p <= FALSE_CLAIMS / 2
    ]


def _unsettled(one: Gated, share: float) -> Unsettled:
    more = one.ratio.runs_to_settle(share, MOST_RUNS) if one.is_maximum else None
    return Unsettled(one.cell, one.ratio, one.is_maximum, more)


def _remedy(found: Gate) -> str:
    steps = []
    if any(one.is_maximum and one.ratio.low is None for one in found.unsettled):
        steps.append("measure both with --profile review, whose repeats give intervals")
    elif found.more_blocks is not None:
        steps.append(f"measure both with about {found.more_blocks} more blocks, or allow more")
    elif any(one.is_maximum for one in found.unsettled):
        steps.append("allow more, or look for what spreads the figures")
    if any(not one.is_maximum for one in found.unsettled):
        steps.append("load the servers to their limit: more connections, or load hosts")
    if found.invalid:
        steps.append("mend what is invalid")
    text = "; ".join(steps)
    return text[:1].upper() + text[1:]


def _title(cell: Cell) -> str:
    return cell.title if cell.workers == 1 else f"{cell.title}, {cell.workers} workers"
