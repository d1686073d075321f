"""How busy the server and the load generator were, one row per cell."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.run import RunResult
from reports.tables.table import Table, TableRow, group, named, numbers, tone, words
from reports.words.numbers import microseconds, percent
from reports.words.sentences import LIMITS
from reports.words.shares import cell_load_share, cell_server_share
from reports.words.verdicts import Labelled


def busy_table(contests: Labelled, runs: Sequence[RunResult]) -> Table:
    rows: list[TableRow] = []
    for label, contest in contests:
        rows.append(group(label))
        rows += [
            TableRow(
                (
                    named(cell),
                    percent(cell_server_share(cell, runs)),
                    percent(cell_load_share(cell, runs)),
                    microseconds(cell.cpu_seconds_per_request),
                    LIMITS.get(cell.limit, cell.limit),
                ),
                tone(cell),
            )
            for cell in contest.cells
        ]
    columns = (
        *words("Server"),
        *numbers("Server’s cores, used", "Busiest load worker", "Server CPU, µs a request"),
        *words("Held back by"),
    )
    return Table("Who was busy", columns, tuple(rows))
