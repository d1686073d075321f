"""Latency by percentile, a row a cell."""

from __future__ import annotations

from reports.tables.table import Table, TableRow, group, named, numbers, tone, words
from reports.words.numbers import milliseconds
from reports.words.verdicts import Labelled


def latency_table(contests: Labelled) -> Table:
    rows: list[TableRow] = []
    for label, contest in contests:
        rows.append(group(label))
        for cell in contest.cells:
            latency = cell.latency_seconds
            values = (
                (latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max)
                if latency
                else (None,) * 5
            )
            rows.append(TableRow((named(cell), *(milliseconds(value) for value in values)), tone(cell)))
    return Table(
        "Latency, ms", (*words("Server"), *numbers("p50", "p90", "p99", "p99.9", "Max")), tuple(rows)
    )
