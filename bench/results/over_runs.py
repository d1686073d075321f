"""Latency of a cell over its runs: how each percentile varies from run to run, and all requests together.

The two are not the same. A median over runs with its interval says what the next run will show; a percentile
of all runs' requests says what the users of all of them had, and one slow run decides it alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.results.estimate import Estimate, estimate
from bench.results.latency import P99, PERCENTILES, Latency, Percentile
from bench.results.run import RunResult

DISAGREE = 2.0
"""Runs of which one has more than twice another's figure have no middle that any of them was near."""


class PercentileOverRuns(msgspec.Struct, frozen=True):
    """One percentile of a cell's runs, in seconds. None: no run has it."""

    estimate: Estimate
    least: float | None
    greatest: float | None
    at_least: bool = False  # some run's may have been more: requests in it never got an answer

    @property
    def do_runs_disagree(self) -> bool:
        """No single figure may stand for them: the range does."""
        return self.least is not None and self.greatest is not None and self.greatest > DISAGREE * self.least


class LatencyOverRuns(msgspec.Struct, frozen=True):
    """By the percentile's name, as in Latency."""

    percentiles: dict[str, PercentileOverRuns]
    # Of all requests of all runs, from their histograms. None: some run has none, or the runs are of unlike
    # length or rate, so that their requests can't be put together.
    all_requests: Latency | None = None
    service_p99: PercentileOverRuns | None = None  # open loop: from sent to answered
    send_lag_p99: PercentileOverRuns | None = None  # open loop: from due to sent

    def of(self, percentile: Percentile) -> PercentileOverRuns | None:
        """None where it was not measured yet."""
        return self.percentiles.get(percentile.name)


def latency_over_runs(
    runs: Sequence[RunResult], all_requests: Latency | None = None
) -> LatencyOverRuns | None:
    """Of a cell's runs; ``all_requests`` is what ``all_requests_of`` has for it. None without a latency."""
    latencies = [run.latency_seconds for run in runs if run.latency_seconds is not None]
    if not latencies:
        return None
    open_loops = [run.open_loop for run in runs if run.open_loop is not None]
    return LatencyOverRuns(
        {percentile.name: _over_runs(percentile, latencies) for percentile in PERCENTILES},
        all_requests,
        _over_runs(P99, [one.service_latency_seconds for one in open_loops]) if open_loops else None,
        _over_runs(P99, [one.send_lag_seconds for one in open_loops]) if open_loops else None,
    )


def _over_runs(percentile: Percentile, latencies: Sequence[Latency | None]) -> PercentileOverRuns:
    known = [one for one in latencies if one is not None]
    values = [value for one in known if (value := percentile.of(one)) is not None]
    return PercentileOverRuns(
        estimate(values),
        min(values, default=None),
        max(values, default=None),
        any(percentile.name in one.at_least for one in known),
    )
