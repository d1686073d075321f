"""Memory, one row per cell."""

from __future__ import annotations

from bench.plan.plan import Environment
from bench.results.figures import Bytes
from reports.tables.table import Table, TableRow, group, named, numbers, tone, words
from reports.words.cautions import server_system
from reports.words.numbers import megabytes
from reports.words.verdicts import Labelled


def memory_table(contests: Labelled, environment: Environment) -> Table:
    absent = "not available on macOS" if server_system(environment) == "Darwin" else "not available"
    rows: list[TableRow] = []
    for label, contest in contests:
        rows.append(group(label))
        for cell in contest.cells:
            rss = cell.rss_bytes
            shown = tuple(megabytes(amount) for amount in (rss.idle, rss.median, rss.peak, rss.after))
            others = (_loaded(cell.pss_bytes, absent), _loaded(cell.uss_bytes, absent))
            rows.append(TableRow((named(cell), *shown, *others), tone(cell)))
    columns = (
        *words("Server"),
        *numbers("RSS idle", "RSS median", "RSS peak", "RSS after", "PSS median", "USS median"),
    )
    return Table("Memory, MB", columns, tuple(rows))


def _loaded(amounts: Bytes | None, absent: str) -> str:
    return absent if amounts is None else megabytes(amounts.median)
