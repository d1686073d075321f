"""A cell's latency as a reader sees it: a figure where its runs agree on one, else their range."""

from __future__ import annotations

from bench.results.latency import P99, Latency, Percentile
from bench.results.over_runs import PercentileOverRuns
from bench.results.summary import CellSummary
from reports.words.latency import AT_LEAST, latency_ms
from reports.words.numbers import MISSING, counted, milliseconds

TAILS = (
    "Each percentile is the median over runs, and its 95 % interval is of the runs; beside it stands that of "
    "all their requests together. It needs ten requests beyond it (p99 1,000 in all): a dash stands where "
    "there are fewer. Where one run’s figure is more than twice another’s, their range stands in its place."
)


def over_runs(cell: CellSummary, percentile: Percentile) -> PercentileOverRuns | None:
    """None: no run has the percentile, or the summary is older than this figure."""
    found = cell.latency_over_runs
    one = None if found is None else found.of(percentile)
    return None if one is None or one.estimate.median is None else one


def milliseconds_of(cell: CellSummary, percentile: Percentile) -> str:
    """``12.3``; ``6.80 to 182`` where the runs disagree; a dash where the requests were too few."""
    return _range_or_middle(over_runs(cell, percentile), cell.latency_seconds, percentile)


def service_p99(cell: CellSummary) -> str:
    """From sent to answered, in ms, as ``milliseconds_of``."""
    known, found = cell.latency_over_runs, cell.open_loop
    over = None if known is None else known.service_p99
    return _range_or_middle(over, None if found is None else found.service_latency_seconds, P99)


def send_lag_p99(cell: CellSummary) -> str:
    """From due to sent, in ms, as ``milliseconds_of``."""
    known, found = cell.latency_over_runs, cell.open_loop
    over = None if known is None else known.send_lag_p99
    return _range_or_middle(over, None if found is None else found.send_lag_seconds, P99)


def _range_or_middle(over: PercentileOverRuns | None, middle: Latency | None, percentile: Percentile) -> str:
    if over is not None and over.do_runs_disagree:
        bound = AT_LEAST if over.at_least else ""
        return f"{milliseconds(over.least)} to {bound}{milliseconds(over.greatest)}"
    return latency_ms(middle, percentile.name)


def interval_of(cell: CellSummary, percentile: Percentile) -> str:
    """``11.0 to 13.8``: of the median over runs, 95 %, in ms; a dash with a single run."""
    found = over_runs(cell, percentile)
    if found is None or found.estimate.low is None or found.estimate.high is None:
        return MISSING
    return f"{milliseconds(found.estimate.low)} to {milliseconds(found.estimate.high)}"


def of_all_requests(cell: CellSummary, percentile: Percentile) -> str:
    """Of all requests of all runs together, in ms."""
    found = cell.latency_over_runs
    return latency_ms(None if found is None else found.all_requests, percentile.name)


def tail_words(cell: CellSummary, percentile: Percentile) -> str:
    """``12.3 ms (95 % interval 11.0 to 13.8; 5 runs)``, ``6.80 ms in one run and 182 ms in another``."""
    figure = latency_ms(cell.latency_seconds, percentile.name)
    found = over_runs(cell, percentile)
    if found is None:
        return f"{figure} ms"
    runs = counted(found.estimate.runs, "run")
    if found.do_runs_disagree:
        bound = AT_LEAST if found.at_least else ""
        return (
            f"{milliseconds(found.least)} ms in one run and {bound}{milliseconds(found.greatest)} ms in "
            f"another ({runs}: they disagree)"
        )
    if found.estimate.low is None:
        return f"{figure} ms ({'one run' if found.estimate.runs == 1 else runs}: no interval)"
    return f"{figure} ms (95 % interval {interval_of(cell, percentile)}; {runs})"
