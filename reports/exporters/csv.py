"""report.csv: summary.json's cells, one a line, raw figures with their units in the heading."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from bench.results.latency import PERCENTILES
from bench.results.scaling import Efficiency, ScalingCurve, scaling_curves, worker_memory
from bench.results.summary import CellSummary, Summary
from bench.verdicts.contest import Lead
from reports.exporters import Exporter
from reports.results import Results
from reports.words.verdicts import Labelled

ENDS = ("low", "high", "least_run", "greatest_run")
"""Of a percentile over runs: its 95 % interval, and its runs' extremes."""
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
    "rank",
    "runs",
    "requests_per_second",
    "requests_per_second_low",
    "requests_per_second_high",
    *(f"latency_{percentile.name}_seconds" for percentile in PERCENTILES),
    "latency_max_seconds",
    *(f"latency_{percentile.name}_seconds_{end}" for percentile in PERCENTILES for end in ENDS),
    *(f"latency_{percentile.name}_seconds_of_all_requests" for percentile in PERCENTILES),
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
    "tls",
    "protocol",
    "balancer",
    # Throughput over workers times that of one worker of the same; 1 is linear.
    "efficiency",
    "efficiency_low",
    "efficiency_high",
    "rss_bytes_per_worker",
    "pss_bytes_per_worker",
    "largest_share_over_mean",
    "balancer_core_share",
    "balancer_cpu_seconds_per_request",
    "balancer_rss_median_bytes",
    "balancer_pss_median_bytes",
)


def cells_csv(summary: Summary, contests: Labelled = (), curves: Sequence[ScalingCurve] = ()) -> str:
    """summary.json's cells, one a line, raw figures with their units in the heading.

    ``rank`` is a cell's place in the report's order by throughput, 1 for the fastest; empty where the report
    ranks nothing there.
    """
    ranks = {
        cell.cell: place
        for _, contest in contests
        if contest.lead is not Lead.NONE
        for place, cell in enumerate(contest.ranked, 1)
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    found = {point.cell.cell: point.efficiency for curve in curves for point in curve.points}
    rows = [
        (*_csv_row(cell, ranks.get(cell.cell)), *_scaling(cell, found.get(cell.cell)))
        for cell in summary.cells
    ]
    writer.writerow(_CSV_COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def _csv_row(cell: CellSummary, rank: int | None) -> tuple[object, ...]:
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
        rank,
        figures.runs,
        figures.median,
        figures.low,
        figures.high,
        *(percentile.of(latency) for percentile in PERCENTILES),
        latency.max if latency else None,
        *_over_runs(cell),
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
        "yes" if cell.tls else "no",
        cell.protocol,
    )


def _scaling(cell: CellSummary, found: Efficiency | None) -> Iterator[object]:
    memory, balancer = worker_memory(cell, None), cell.balancer_figures
    yield cell.balancer
    yield from (None,) * 3 if found is None else (found.mean, found.low, found.high)
    yield from (memory.rss_bytes, memory.pss_bytes, cell.imbalance)
    if balancer is None:
        yield from (None,) * 4
    else:
        yield from (balancer.core_share, balancer.cpu_seconds_per_request)
        yield from (balancer.rss_bytes, balancer.pss_bytes)


def _over_runs(cell: CellSummary) -> Iterator[float | None]:
    known = cell.latency_over_runs
    for percentile in PERCENTILES:
        found = None if known is None else known.of(percentile)
        if found is None:
            yield from (None,) * len(ENDS)
        else:
            yield from (found.estimate.low, found.estimate.high, found.least, found.greatest)
    for percentile in PERCENTILES:
        yield None if known is None else percentile.of(known.all_requests)


def _content(results: Results) -> bytes:
    curves = scaling_curves(results.summary, results.runs)
    return cells_csv(results.summary, results.contests, curves).encode()


EXPORTER = Exporter("report.csv", _content)
