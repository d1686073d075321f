"""Latency at stated rates, one row per cell."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.latency import P99, PERCENTILES
from bench.results.summary import CellSummary
from bench.verdicts.contest import Contest
from reports.tables.table import Table, TableRow, named, numbers, tone, words
from reports.words.latency import latency_ms, latency_notes
from reports.words.numbers import MISSING, rate
from reports.words.over_runs import interval_of, milliseconds_of, of_all_requests, send_lag_p99, service_p99
from reports.words.rates import RateGroup, achieved_rate, ended_early, tail_against_next

# The median and the tail: what lies between tells little more.
_SHOWN = tuple(one for one in PERCENTILES if one.fraction == 0.5 or one.fraction >= 0.99)


def rates_table(group: RateGroup, contests: Sequence[Contest] = ()) -> Table:
    """``contests`` are those of all cells at equal rates: what is known of one server against the next."""
    against = {step.better.cell: tail_against_next(step) for one in contests for step in one.steps}
    first, *others = _SHOWN
    columns = (
        *words("Server"),
        *numbers(
            "Offered, requests/s", "Achieved", f"{first.title}, ms", *(one.title for one in others), "Max"
        ),
        *numbers("p99, 95 % interval"),
        *words("p99 against the next"),
        *numbers("p99 of all requests"),
        *numbers("Service p99, ms", "Send lag p99, ms", "Backlog dropped"),
    )
    return Table(
        f"Latency at stated rates on {group.label}",
        columns,
        tuple(_row(cell, against.get(cell.cell, "")) for cell in group.cells),
        " ".join(latency_notes(group.cells)),
    )


def _row(cell: CellSummary, against: str) -> TableRow:
    return TableRow(
        (
            named(cell),
            _offered(cell),
            _achieved(cell),
            *(milliseconds_of(cell, percentile) for percentile in _SHOWN),
            latency_ms(cell.latency_seconds, "max"),
            interval_of(cell, P99),
            against,
            of_all_requests(cell, P99),
            service_p99(cell),
            send_lag_p99(cell),
            MISSING if cell.open_loop is None else f"{cell.open_loop.backlog_dropped:,}",
        ),
        tone(cell),
    )


def _offered(cell: CellSummary) -> str:
    if cell.rate_share is None:
        return rate(cell.rate_per_second)
    return f"{rate(cell.rate_per_second)} ({cell.rate_share * 100:g} %)"


def _achieved(cell: CellSummary) -> str:
    ended = ended_early(cell)
    return f"{rate(achieved_rate(cell))} ({ended})" if ended else rate(achieved_rate(cell))
