"""The table under the answer: every cell, the fastest first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from bench.results.latency import P99
from bench.results.summary import CellSummary
from reports.tables.table import Table, TableRow, group, numbers, words
from reports.words.latency import latency_notes
from reports.words.numbers import MISSING, megabytes, rate, rate_interval
from reports.words.over_runs import milliseconds_of
from reports.words.sentences import LIMITS, against_next, refused_because, unranked_because
from reports.words.verdicts import Labelled


def verdict_table(contests: Labelled) -> Table:
    rows: list[TableRow] = []
    for label, contest in contests:
        against = {
            cell.server: against_next(step) for cell, step in zip(contest.ranked, contest.steps, strict=False)
        }
        rows.append(group(label))
        rows += [_row(cell, against.get(cell.server, "")) for cell in contest.ranked]
        rows += [_row(cell, unranked_because(cell), "muted") for cell in contest.unranked]
        rows += [_refused_row(cell) for cell in contest.refused]
    columns = (
        *words("Server"),
        *numbers("Requests/s", "95 % interval"),
        *words("Against the next"),
        *numbers("p99 at full speed, ms", "RSS, MB"),
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
    if any(_is_out_of_order(contest.ranked) for _, contest in contests):
        yield (
            "Servers are in the order of their ratio over the blocks that both have, which isn’t that of the "
            "medians where runs are missing or spread."
        )
    yield from latency_notes([cell for _, contest in contests for cell in contest.valid])


def _is_out_of_order(cells: tuple[CellSummary, ...]) -> bool:
    medians = [cell.requests_per_second.median or 0.0 for cell in cells]
    return any(one < other for one, other in pairwise(medians))


def _row(cell: CellSummary, against: str, tone: str = "") -> TableRow:
    figures = cell.requests_per_second
    return TableRow(
        (
            cell.server,
            rate(figures.median),
            rate_interval(figures),
            against,
            milliseconds_of(cell, P99),
            megabytes(cell.rss_bytes.median),
            LIMITS.get(cell.limit, cell.limit),
        ),
        tone,
    )


def _refused_row(cell: CellSummary) -> TableRow:
    blank = (MISSING,) * 2
    reason = f"refused: {refused_because(cell)}"
    return TableRow((cell.server, *blank, reason, *blank, LIMITS.get(cell.limit, cell.limit)), "refused")
