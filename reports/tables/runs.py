"""Every run with its counts, one row per run."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.run import RunResult
from reports.tables.table import Table, TableRow, numbers, words
from reports.words.numbers import MISSING, megabytes, milliseconds, percent, rate
from reports.words.sentences import LIMITS
from reports.words.shares import load_share


def runs_table(runs: Sequence[RunResult]) -> Table:
    columns = (
        *words("Run"),
        *numbers("Requests/s", "p99, ms", "Failures", "RSS peak, MB", "Server’s cores", "Load worker"),
        *numbers("Counted by engine", "Server", "Locust", "Spool", "Database transactions a request"),
        *numbers("Overhead"),
        *words("Valid", "Held back by", "Remarks"),
    )
    return Table(
        "All runs, in the order they were made",
        columns,
        tuple(_run_row(run) for run in runs),
        "Counts are of the whole run, warm-up and all. Overhead is the share of the run’s time that was "
        "neither warm-up, window nor memory rest.",
        style="runs",
    )


def _run_row(run: RunResult) -> TableRow:
    latency, counts, timing = run.latency_seconds, run.counts, run.timing
    overhead = timing.overhead_seconds / timing.total_seconds if timing.total_seconds > 0 else None
    cpu = run.server_cpu
    return TableRow(
        (
            run.run_id if run.attempt == 1 else f"{run.run_id} (attempt {run.attempt})",
            rate(run.requests_per_second),
            milliseconds(latency.p99 if latency else None),
            f"{sum(run.failures.values()):,}",
            megabytes(run.rss_bytes.peak),
            MISSING if cpu is None else f"{cpu.core_share:.2f} of {cpu.cores}",
            percent(load_share(run)),
            *(_count(value) for value in (counts.engine, counts.server, counts.locust, counts.spool)),
            MISSING if run.database is None else f"{run.database.transactions_per_request:.2f}",
            percent(overhead),
            "yes" if run.valid else "no",
            f"{LIMITS.get(run.limit.name, run.limit.name)}: {run.limit.text}",
            "; ".join(reason.text for reason in run.reasons),
        ),
        "" if run.valid else "refused",
    )


def _count(value: int | None) -> str:
    return MISSING if value is None else f"{value:,}"
