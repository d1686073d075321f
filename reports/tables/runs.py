"""Every run with its counts, one row per run."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.attempts import EarlierAttempt
from bench.results.run import RunResult
from reports.tables.table import Table, TableRow, numbers, words
from reports.words.attempts import measured_again
from reports.words.latency import latency_ms
from reports.words.numbers import MISSING, counted, megabytes, milliseconds, percent, rate
from reports.words.sentences import LIMITS
from reports.words.shares import load_share


def runs_table(runs: Sequence[RunResult]) -> Table:
    columns = (
        *words("Run"),
        *numbers("Requests/s", "p99, ms", "Failures", "RSS peak, MB", "Server’s cores", "Load worker"),
        *numbers(
            "Counted by the app", "By the engine", "Locust", "Spool", "Database transactions per request"
        ),
        *numbers("Overhead"),
        *words("Valid", "Held back by", "Remarks"),
    )
    return Table(
        "All runs, in the order they were made",
        columns,
        tuple(row for run in runs for row in (*map(_earlier_row, _earlier(run)), _run_row(run))),
        "Counts are of the whole run, warm-up and all. Two of them are independent: what the app counted "
        "itself, and what the engine saw. Locust’s count and the spool’s are made of the engine’s figures, "
        "each on another way, so that they prove that nothing was lost or doubled there. Overhead is the "
        "share of the run’s time that was neither warm-up, window nor memory rest. ≥: at least: requests "
        "that never got an answer stand there with how long they had waited.",
        style="runs",
    )


def _run_row(run: RunResult) -> TableRow:
    counts, timing = run.counts, run.timing
    overhead = timing.overhead_seconds / timing.total_seconds if timing.total_seconds > 0 else None
    cpu = run.server_cpu
    return TableRow(
        (
            run.run_id if run.attempt == 1 else f"{run.run_id} (attempt {run.attempt})",
            rate(run.requests_per_second),
            latency_ms(run.latency_seconds, "p99"),
            _failures(run),
            megabytes(run.rss_bytes.peak),
            MISSING if cpu is None else f"{cpu.core_share:.2f} of {cpu.cores}",
            percent(load_share(run)),
            *(_count(value) for value in (counts.server, counts.engine, counts.locust, counts.spool)),
            MISSING if run.database is None else f"{run.database.transactions_per_request:.2f}",
            percent(overhead),
            "yes" if run.valid else "no",
            f"{LIMITS.get(run.limit.name, run.limit.name)}: {run.limit.text}",
            "; ".join(filter(None, (measured_again(run), *(reason.text for reason in run.reasons)))),
        ),
        "" if run.valid else "refused",
    )


def _failures(run: RunResult) -> str:
    """``3``, or ``3 and 12,040 reconnects``."""
    reconnects = sum(worker.reconnects for worker in run.load_workers)
    failures = f"{sum(run.failures.values()):,}"
    return f"{failures} and {counted(reconnects, 'reconnect')}" if reconnects else failures


def _earlier(run: RunResult) -> list[tuple[RunResult, EarlierAttempt]]:
    """The tries before it that were measured to their end."""
    return [(run, one) for one in run.earlier_attempts if one.requests_per_second is not None]


def _earlier_row(of: tuple[RunResult, EarlierAttempt]) -> TableRow:
    """A try that was void and doesn't count, as far as it is kept."""
    run, earlier = of
    return TableRow(
        (
            f"{run.run_id} (attempt {earlier.attempt}, doesn’t count)",
            rate(earlier.requests_per_second),
            milliseconds(earlier.p99_seconds),
            f"{earlier.failures:,}",
            *[MISSING] * 9,
            "no",
            LIMITS.get(earlier.limit, earlier.limit),
            "; ".join(reason.text for reason in earlier.reasons),
        ),
        "refused",
    )


def _count(value: int | None) -> str:
    return MISSING if value is None else f"{value:,}"
