"""Latency at stated rates, one row per cell."""

from __future__ import annotations

from bench.results.figures import OpenLoop
from bench.results.latency import PERCENTILES
from bench.results.summary import CellSummary
from reports.tables.table import Table, TableRow, named, numbers, tone, words
from reports.words.latency import latency_ms, latency_notes, latency_row
from reports.words.numbers import MISSING, rate
from reports.words.rates import RateGroup, achieved_rate

# The median and the tail: what lies between tells little more.
_SHOWN = tuple(one for one in PERCENTILES if one.fraction == 0.5 or one.fraction >= 0.99)


def rates_table(group: RateGroup) -> Table:
    first, *others = _SHOWN
    columns = (
        *words("Server"),
        *numbers(
            "Offered, requests/s", "Achieved", f"{first.title}, ms", *(one.title for one in others), "Max"
        ),
        *numbers("Service p99, ms", "Send lag p99, ms", "Backlog dropped"),
    )
    return Table(
        f"Latency at stated rates on {group.label}",
        columns,
        tuple(_row(cell) for cell in group.cells),
        " ".join(latency_notes(group.cells)),
    )


def _row(cell: CellSummary) -> TableRow:
    values = latency_row(cell.latency_seconds, _SHOWN)
    return TableRow(
        (named(cell), _offered(cell), rate(achieved_rate(cell)), *values, *_parts(cell.open_loop)),
        tone(cell),
    )


def _offered(cell: CellSummary) -> str:
    if cell.rate_share is None:
        return rate(cell.rate_per_second)
    return f"{rate(cell.rate_per_second)} ({cell.rate_share * 100:g} %)"


def _parts(found: OpenLoop | None) -> tuple[str, str, str]:
    if found is None:
        return MISSING, MISSING, MISSING
    return (
        latency_ms(found.service_latency_seconds, "p99"),
        latency_ms(found.send_lag_seconds, "p99"),
        f"{found.backlog_dropped:,}",
    )
