"""Every table of the report as plain text cells, and the cells as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from bench.plan.plan import Environment, Plan
from bench.results.result import Bytes, CellSummary, RunResult, Summary
from reports.paper import figures as paper
from reports.paper.claims import Claim
from reports.words.numbers import (
    MISSING,
    megabytes,
    microseconds,
    milliseconds,
    percent,
    rate,
    rate_interval,
)
from reports.words.sentences import LIMITS, against_next, refused_because
from reports.words.trust import cell_load_share, cell_server_share, load_share, server_system
from reports.words.verdicts import Labelled


@dataclass(frozen=True)
class Column:
    title: str
    is_number: bool = False


@dataclass(frozen=True)
class Row:
    """The first cell is the row's heading. ``tone``: "", "refused", "muted" or "settled".

    A row of tone "group" has one cell, which heads the rows below it.
    """

    cells: tuple[str, ...]
    tone: str = ""


@dataclass(frozen=True)
class Table:
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""


def words(*titles: str) -> tuple[Column, ...]:
    return tuple(Column(title) for title in titles)


def numbers(*titles: str) -> tuple[Column, ...]:
    return tuple(Column(title, is_number=True) for title in titles)


def named(cell: CellSummary) -> str:
    """The server's name; that it is refused is said in words, not by colour alone."""
    return cell.server if cell.valid else f"{cell.server} (refused)"


def group(label: str) -> Row:
    return Row((label,), "group")


def tone(cell: CellSummary) -> str:
    return "" if cell.valid else "refused"


def verdict_table(contests: Labelled) -> Table:
    rows: list[Row] = []
    for label, contest in contests:
        against = {step.better.server: against_next(step) for step in contest.steps}
        rows.append(group(label))
        rows += [_ranked_row(cell, against.get(cell.server, "")) for cell in contest.ranked]
        rows += [_refused_row(cell) for cell in contest.refused]
    columns = (
        *words("Server"),
        *numbers("Requests/s", "95 % interval"),
        *words("Against the next"),
        *numbers("p99, ms", "RSS, MB"),
        *words("Held back by"),
    )
    return Table("Verdicts", columns, tuple(rows))


def paper_table(endpoint: str, plan: Plan, summary: Summary) -> Table:
    """One of the paper's three tables: our cells first in the plan's order, its own figures beside."""
    rows, seen = [], set()
    packages = {server.name: server.package for server in plan.servers}
    several = len({cell.workers for cell in summary.cells}) > 1
    for cell in summary.closed_loop_cells:
        if cell.endpoint != endpoint:
            continue
        package = packages[cell.server]
        seen.add(package)
        name = f"{cell.server}, {cell.workers} workers" if several else cell.server
        ours = (rate(cell.requests_per_second.median), megabytes(cell.rss_bytes.median))
        if not cell.valid:
            ours = ("refused", MISSING)
        rows.append(
            Row((name, cell.server_version or MISSING, *ours, *_paper_cells(endpoint, package)), tone(cell))
        )
    for package in paper.SERVERS:
        if package not in seen:
            row = (package, MISSING, "not measured", MISSING, *_paper_cells(endpoint, package))
            rows.append(Row(row, "muted"))
    columns = (
        *words("Server", "Version"),
        *numbers("Requests/s", "RSS, MB"),
        *words("Paper’s version"),
        *numbers("Paper’s requests/s", "Paper’s RSS, MB"),
    )
    return Table(paper.TITLES[endpoint], columns, tuple(rows))


def latency_table(contests: Labelled) -> Table:
    rows: list[Row] = []
    for label, contest in contests:
        rows.append(group(label))
        for cell in contest.cells:
            latency = cell.latency_seconds
            values = (
                (latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max)
                if latency
                else (None,) * 5
            )
            rows.append(Row((named(cell), *(milliseconds(value) for value in values)), tone(cell)))
    return Table(
        "Latency, ms", (*words("Server"), *numbers("p50", "p90", "p99", "p99.9", "Max")), tuple(rows)
    )


def memory_table(contests: Labelled, environment: Environment) -> Table:
    absent = "not available on macOS" if server_system(environment) == "Darwin" else "not available"
    rows: list[Row] = []
    for label, contest in contests:
        rows.append(group(label))
        for cell in contest.cells:
            rss = cell.rss_bytes
            shown = tuple(megabytes(amount) for amount in (rss.idle, rss.median, rss.peak, rss.after))
            others = (_loaded(cell.pss_bytes, absent), _loaded(cell.uss_bytes, absent))
            rows.append(Row((named(cell), *shown, *others), tone(cell)))
    columns = (
        *words("Server"),
        *numbers("RSS idle", "RSS median", "RSS peak", "RSS after", "PSS median", "USS median"),
    )
    return Table("Memory, MB", columns, tuple(rows))


def trust_table(contests: Labelled, runs: Sequence[RunResult]) -> Table:
    rows: list[Row] = []
    for label, contest in contests:
        rows.append(group(label))
        rows += [
            Row(
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


def claims_table(claims: Sequence[Claim]) -> Table:
    rows = tuple(
        Row(
            (
                claim.text,
                claim.paper,
                claim.here,
                f"{claim.verdict}: {claim.note}" if claim.note else claim.verdict,
            ),
            {"confirmed": "settled", "refuted": "settled", "untested": "muted"}.get(claim.verdict, ""),
        )
        for claim in claims
    )
    return Table("The paper’s claims", words("Claim", "Paper", "Here (95 % interval)", "Verdict"), rows)


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
    )


def cells_csv(summary: Summary) -> str:
    """summary.json's cells, one a line, raw figures with their units in the heading."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [_csv_row(cell) for cell in summary.cells]
    writer.writerow(_CSV_COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


_CSV_COLUMNS = (
    "server",
    "server_version",
    "endpoint",
    "workers",
    "connections",
    "rate_per_second",
    "rate_share",
    "client",
    "load_on",
    "environment",
    "valid",
    "runs",
    "requests_per_second",
    "requests_per_second_low",
    "requests_per_second_high",
    "latency_p50_seconds",
    "latency_p90_seconds",
    "latency_p99_seconds",
    "latency_p99_9_seconds",
    "latency_max_seconds",
    "rss_idle_bytes",
    "rss_median_bytes",
    "rss_peak_bytes",
    "rss_after_bytes",
    "pss_median_bytes",
    "uss_median_bytes",
    "cpu_seconds_per_request",
    "failures",
    "limit",
    "reasons",
)


def _csv_row(cell: CellSummary) -> tuple[object, ...]:
    figures, latency, rss = cell.requests_per_second, cell.latency_seconds, cell.rss_bytes
    return (
        cell.server,
        cell.server_version,
        cell.endpoint,
        cell.workers,
        cell.connections,
        cell.rate_per_second,
        cell.rate_share,
        cell.client,
        cell.load_on,
        cell.environment,
        "yes" if cell.valid else "no",
        figures.runs,
        figures.median,
        figures.low,
        figures.high,
        *((latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max) if latency else (None,) * 5),
        rss.idle,
        rss.median,
        rss.peak,
        rss.after,
        cell.pss_bytes.median if cell.pss_bytes else None,
        cell.uss_bytes.median if cell.uss_bytes else None,
        cell.cpu_seconds_per_request,
        cell.failures,
        cell.limit,
        "; ".join(reason.text for reason in cell.reasons),
    )


def _ranked_row(cell: CellSummary, against: str) -> Row:
    figures, latency = cell.requests_per_second, cell.latency_seconds
    return Row(
        (
            cell.server,
            rate(figures.median),
            rate_interval(figures),
            against,
            milliseconds(latency.p99 if latency else None),
            megabytes(cell.rss_bytes.median),
            LIMITS.get(cell.limit, cell.limit),
        )
    )


def _refused_row(cell: CellSummary) -> Row:
    blank = (MISSING,) * 2
    reason = f"refused: {refused_because(cell)}"
    return Row((cell.server, *blank, reason, *blank, LIMITS.get(cell.limit, cell.limit)), "refused")


def _run_row(run: RunResult) -> Row:
    latency, counts, timing = run.latency_seconds, run.counts, run.timing
    overhead = timing.overhead_seconds / timing.total_seconds if timing.total_seconds > 0 else None
    cpu = run.server_cpu
    return Row(
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


def _loaded(amounts: Bytes | None, absent: str) -> str:
    return absent if amounts is None else megabytes(amounts.median)


def _paper_cells(endpoint: str, package: str) -> tuple[str, str, str]:
    figures = paper.FIGURES.get((endpoint, package))
    if figures is None:
        return "not in the paper", MISSING, MISSING
    version = paper.VERSIONS[package]
    return version, rate(figures.requests_per_second), f"{figures.rss_megabytes:.1f}"
