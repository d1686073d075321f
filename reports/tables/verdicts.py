"""The table under the answer: every cell, the fastest first."""

from __future__ import annotations

from bench.results.summary import CellSummary
from reports.tables.table import Table, TableRow, group, numbers, words
from reports.words.numbers import MISSING, megabytes, milliseconds, rate, rate_interval
from reports.words.sentences import LIMITS, against_next, refused_because
from reports.words.verdicts import Labelled


def verdict_table(contests: Labelled) -> Table:
    rows: list[TableRow] = []
    for label, contest in contests:
        against = {step.better.server: against_next(step) for step in contest.steps}
        rows.append(group(label))
        rows += [_ranked_row(cell, against.get(cell.server, "")) for cell in contest.ranked]
        rows += [_refused_row(cell) for cell in contest.refused]
    columns = (
        *words("Server"),
        *numbers("Requests/s", "95 % interval"),
        *words("Against the next"),
        *numbers("p99, ms", "RSS, MB"),
        *words("Held back by"),
    )
    return Table("Verdicts", columns, tuple(rows), style="verdicts")


def _ranked_row(cell: CellSummary, against: str) -> TableRow:
    figures, latency = cell.requests_per_second, cell.latency_seconds
    return TableRow(
        (
            cell.server,
            rate(figures.median),
            rate_interval(figures),
            against,
            milliseconds(latency.p99 if latency else None),
            megabytes(cell.rss_bytes.median),
            LIMITS.get(cell.limit, cell.limit),
        )
    )


def _refused_row(cell: CellSummary) -> TableRow:
    blank = (MISSING,) * 2
    reason = f"refused: {refused_because(cell)}"
    return TableRow((cell.server, *blank, reason, *blank, LIMITS.get(cell.limit, cell.limit)), "refused")
