"""Latency by percentile, one row per cell."""

from __future__ import annotations

from bench.results.latency import P99, PERCENTILES
from bench.results.summary import CellSummary
from reports.tables.table import Table, TableRow, group, named, numbers, tone, words
from reports.words.latency import interval_of, milliseconds_of, of_all_requests
from reports.words.numbers import milliseconds
from reports.words.verdicts import Labelled


def latency_table(contests: Labelled) -> Table:
    """A column for each percentile. A dash stands for one that the requests were too few for."""
    rows: list[TableRow] = []
    for label, contest in contests:
        rows.append(group(label))
        rows += [_row(cell) for cell in contest.cells]
    columns = (*words("Server"), *numbers(*(percentile.title for percentile in PERCENTILES), "Max"))
    columns += (*numbers("p99, 95 % interval", "p99 of all requests"),)
    return Table("Latency, ms", columns, tuple(rows))


def _row(cell: CellSummary) -> TableRow:
    latency = cell.latency_seconds
    return TableRow(
        (
            named(cell),
            *(milliseconds_of(cell, percentile) for percentile in PERCENTILES),
            milliseconds(latency.max if latency else None),
            interval_of(cell, P99),
            of_all_requests(cell, P99),
        ),
        tone(cell),
    )
