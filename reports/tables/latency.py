"""Latency by percentile, one row per cell."""

from __future__ import annotations

from bench.results.latency import PERCENTILES
from bench.results.summary import CellSummary
from reports.tables.table import Table, TableRow, group, named, numbers, tone, words
from reports.words.latency import latency_notes, latency_row
from reports.words.verdicts import Labelled


def latency_table(contests: Labelled) -> Table:
    """A column for each percentile. A dash stands for one that older results lack."""
    rows: list[TableRow] = []
    for label, contest in contests:
        rows.append(group(label))
        rows += [_row(cell) for cell in contest.cells]
    columns = (*words("Server"), *numbers(*(percentile.title for percentile in PERCENTILES), "Max"))
    cells = [cell for _, contest in contests for cell in contest.cells]
    return Table("Latency, ms", columns, tuple(rows), " ".join(latency_notes(cells)))


def _row(cell: CellSummary) -> TableRow:
    return TableRow((named(cell), *latency_row(cell.latency_seconds)), tone(cell))
