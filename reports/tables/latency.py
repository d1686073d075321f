"""Latency by percentile, one row per cell."""

from __future__ import annotations

from bench.results.latency import P99, PERCENTILES
from bench.results.summary import CellSummary
from reports.tables.table import Table, TableRow, group, named, numbers, tone, words
from reports.words.latency import latency_ms, latency_notes
from reports.words.over_runs import interval_of, milliseconds_of, of_all_requests
from reports.words.verdicts import Labelled


def latency_table(contests: Labelled) -> Table:
    """A column for each percentile. A dash stands for one that the requests were too few for."""
    rows: list[TableRow] = []
    for label, contest in contests:
        rows.append(group(label))
        rows += [_row(cell) for cell in contest.cells]
    columns = (*words("Server"), *numbers(*(percentile.title for percentile in PERCENTILES), "Max"))
    columns += (*numbers("p99, 95 % interval", "p99 of all requests"),)
    cells = [cell for _, contest in contests for cell in contest.cells]
    return Table("Latency, ms", columns, tuple(rows), " ".join(latency_notes(cells)))


def _row(cell: CellSummary) -> TableRow:
    return TableRow(
        (
            named(cell),
            *(milliseconds_of(cell, percentile) for percentile in PERCENTILES),
            latency_ms(cell.latency_seconds, "max"),
            interval_of(cell, P99),
            of_all_requests(cell, P99),
        ),
        tone(cell),
    )
