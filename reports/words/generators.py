"""Cells of one benchmark that differ in one thing of their load, beside each other, and what may be said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from bench.clients import USUAL_CLIENT
from bench.results.pairs import PairRatio, paired_ratio
from bench.results.run import RunResult
from bench.results.summary import CellSummary, Summary
from bench.served import USUAL_PROTOCOL
from bench.verdicts.pair import LEVEL_MARGIN
from reports.words.numbers import MISSING, rate, times


class Beside(msgspec.Struct, frozen=True):
    """Two cells that are alike but for one thing; without a valid run of either there is no ratio."""

    one: CellSummary
    other: CellSummary
    ratio: PairRatio  # of the throughput of ``one`` over that of ``other``, over the blocks that both have


def second_opinions(summary: Summary, runs: Sequence[RunResult]) -> tuple[Beside, ...]:
    """Our engine beside each other client that servers may be ranked by."""
    clients = dict.fromkeys(cell.client for cell in summary.cells if cell.client != USUAL_CLIENT)
    cells = [cell for cell in summary.cells if not cell.cell.is_of_method]
    return tuple(_pairs(cells, runs, "client", USUAL_CLIENT, clients))


def protocols_beside(summary: Summary, runs: Sequence[RunResult]) -> tuple[Beside, ...]:
    """HTTP/2 beside HTTP/1.1 of one server, each pair by one client."""
    return tuple(_pairs(summary.cells, runs, "protocol", "h2", (USUAL_PROTOCOL,)))


def _pairs(
    cells: Sequence[CellSummary],
    runs: Sequence[RunResult],
    what: str,
    one: str,
    others: Sequence[str] | dict[str, None],
) -> Iterator[Beside]:
    found = {cell.cell: cell for cell in cells if not cell.is_open_loop}
    for cell, summarised in found.items():
        if getattr(cell, what) != one:
            continue
        for value in others:
            other = found.get(msgspec.structs.replace(cell, **{what: value}))
            if other is not None:
                yield Beside(summarised, other, paired_ratio(summarised, other, runs))


def ratio_shown(ratio: PairRatio) -> str:
    """``1.03 (1.01 to 1.05)``."""
    if ratio.mean is None:
        return MISSING
    if ratio.low is None or ratio.high is None:
        return times(ratio.mean)
    return f"{times(ratio.mean)} ({times(ratio.low)} to {times(ratio.high)})"


def rate_shown(cell: CellSummary) -> str:
    """In requests/s; of a cell that says nothing of its server that it is refused."""
    return rate(cell.requests_per_second.median) if cell.valid else "refused"


def which_is_more(ratio: PairRatio, one: str, other: str, level: str) -> str:
    """What the interval says. ``level`` stands for a ratio that surely is within LEVEL_MARGIN of 1."""
    if ratio.mean is None:
        return "no block has a maximum of both: see all runs"
    if ratio.low is None or ratio.high is None:
        return "one block: no interval"
    if ratio.low >= 1 / LEVEL_MARGIN and ratio.high <= LEVEL_MARGIN:
        return level
    if ratio.low > 1:
        return f"{one} gets more"
    if ratio.high < 1:
        return f"{other} gets more"
    return "not settled: the interval has 1 in it"
