"""report.csv: summary.json's cells, one a line, raw figures with their units in the heading."""

from __future__ import annotations

import csv
import io

from bench.results.latency import PERCENTILES
from bench.results.summary import CellSummary, Summary
from reports.exporters import Exporter
from reports.results import Results

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
    *(f"latency_{percentile.name}_seconds" for percentile in PERCENTILES),
    "latency_max_seconds",
    "rss_idle_bytes",
    "rss_median_bytes",
    "rss_peak_bytes",
    "rss_after_bytes",
    "pss_median_bytes",
    "uss_median_bytes",
    "pss_idle_bytes",
    "pss_peak_bytes",
    "pss_after_bytes",
    "rss_growth_bytes_per_second",
    "rss_growth_bytes_per_second_low",
    "rss_growth_bytes_per_second_high",
    "cpu_seconds_per_request",
    "failures",
    "limit",
    "reasons",
    # Those of the latencies before that may have been more: p99_9 max
    "latency_at_least",
)


def cells_csv(summary: Summary) -> str:
    """summary.json's cells, one a line, raw figures with their units in the heading."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [_csv_row(cell) for cell in summary.cells]
    writer.writerow(_CSV_COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def _csv_row(cell: CellSummary) -> tuple[object, ...]:
    figures, latency, rss = cell.requests_per_second, cell.latency_seconds, cell.rss_bytes
    pss, growth = cell.pss_bytes, cell.rss_growth
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
        *(percentile.of(latency) for percentile in PERCENTILES),
        latency.max if latency else None,
        rss.idle,
        rss.median,
        rss.peak,
        rss.after,
        pss.median if pss else None,
        cell.uss_bytes.median if cell.uss_bytes else None,
        *((pss.idle, pss.peak, pss.after) if pss else (None,) * 3),
        *((growth.bytes_per_second, growth.low, growth.high) if growth else (None,) * 3),
        cell.cpu_seconds_per_request,
        cell.failures,
        cell.limit,
        "; ".join(reason.text for reason in cell.reasons),
        " ".join(latency.at_least) if latency else "",
    )


def _content(results: Results) -> bytes:
    return cells_csv(results.summary).encode()


EXPORTER = Exporter("report.csv", _content)
