"""The table under the answer: every cell, the fastest first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from bench.results.latency import P99
from bench.results.summary import CellSummary
from bench.verdicts.drift import drifting
from reports.tables.table import Table, TableRow, group, numbers, words
from reports.words.latency import latency_notes
from reports.words.memory import MemoryKind, amounts, kind_of
from reports.words.numbers import MISSING, listed, megabytes, rate, rate_interval
from reports.words.over_runs import milliseconds_of
from reports.words.sentences import LIMITS, against_next, refused_because, unranked_because
from reports.words.verdicts import Labelled


def verdict_table(contests: Labelled) -> Table:
    rows: list[TableRow] = []
    kind = kind_of(contests)
    for label, contest in contests:
        against = {
            cell.server: against_next(step) for cell, step in zip(contest.ranked, contest.steps, strict=False)
        }
        rows.append(group(label))
        rows += [_row(cell, kind, against.get(cell.server, "")) for cell in contest.ranked]
        rows += [_row(cell, kind, unranked_because(cell), "muted") for cell in contest.unranked]
        rows += [_refused_row(cell) for cell in contest.refused]
    columns = (
        *words("Server"),
        *numbers("Requests/s", "95 % interval"),
        *words("Against the next"),
        *numbers("p99 at full speed, ms", f"{kind}, MB"),
        *words("Held back by"),
    )
    return Table("Verdicts", columns, tuple(rows), " ".join(_notes(contests)), style="verdicts")


def _notes(contests: Labelled) -> Iterator[str]:
    together = max((pair.of for _, contest in contests for pair in contest.pairs), default=0)
    if together > 1:
        yield (
            f"A lead is claimed only where it stands among all {together} comparisons of this page, at 5 % "
            "for them together (Holm’s method); each interval is of its own pair."
        )
    wandering = drifting([pair for _, contest in contests for pair in contest.pairs])
    if wandering:
        names = [
            f"{pair.better.server} over {pair.other.server} on {pair.better.endpoint}" for pair in wandering
        ]
        yield f"From block to block a ratio wanders, so that its interval is too narrow: {listed(names)}."
    if any(_is_out_of_order(contest.ranked) for _, contest in contests):
        yield (
            "Servers are in the order of their ratio over the blocks that both have, which isn’t that of the "
            "medians where runs are missing or spread."
        )
    yield from latency_notes([cell for _, contest in contests for cell in contest.valid])


def _is_out_of_order(cells: tuple[CellSummary, ...]) -> bool:
    medians = [cell.requests_per_second.median or 0.0 for cell in cells]
    return any(one < other for one, other in pairwise(medians))


def _row(cell: CellSummary, kind: MemoryKind, against: str, tone: str = "") -> TableRow:
    figures, memory = cell.requests_per_second, amounts(cell, kind)
    return TableRow(
        (
            cell.server,
            rate(figures.median),
            rate_interval(figures),
            against,
            milliseconds_of(cell, P99),
            megabytes(memory.median if memory else None),
            LIMITS.get(cell.limit, cell.limit),
        ),
        tone,
    )


def _refused_row(cell: CellSummary) -> TableRow:
    blank = (MISSING,) * 2
    reason = f"refused: {refused_because(cell)}"
    return TableRow((cell.server, *blank, reason, *blank, LIMITS.get(cell.limit, cell.limit)), "refused")
