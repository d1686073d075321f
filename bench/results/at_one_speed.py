"""Two benchmarks at one speed of the machine: figures over what the yardstick took in the same run.

It corrects for the machine as far as the yardstick sees it, which is a part (docs/speed.md). So both ratios
are shown, and whoever judges takes the one as measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from bench.judge.rule import SERVERS_OWN
from bench.results.course import machine_moved, yardstick_seconds
from bench.results.ratio import METRICS, Metric, Ratio, ratio_of
from bench.results.run import RunResult
from bench.results.summary import CellSummary

# How a figure changes where the same work takes twice the time: halved (-1), doubled (+1). Latency and memory
# depend on more than that.
_BY_SPEED = {"requests_per_second": -1, "cpu_seconds_per_request": 1, "requests_per_second_per_core": -1}
SPEED_METRICS = tuple(metric for metric in METRICS if metric.name in _BY_SPEED)


class SpeedChange(msgspec.Struct, frozen=True):
    """What fixed work took on the server's cores in two benchmarks: medians over runs, in CPU seconds."""

    a_seconds: float
    b_seconds: float
    a_moved: float | None  # how far the slowest run is above the fastest: 0.3 for 30 %; None: a single run
    b_moved: float | None

    @property
    def ratio(self) -> float:
        """B over A: above 1 where B's machine was slower."""
        return self.b_seconds / self.a_seconds


def speed_change(runs_a: Sequence[RunResult], runs_b: Sequence[RunResult]) -> SpeedChange | None:
    """None where the yardstick wasn't read in either."""
    a, b = ([seconds for run in runs if (seconds := yardstick_seconds(run))] for runs in (runs_a, runs_b))
    if not a or not b:
        return None
    return SpeedChange(median(a), median(b), machine_moved(runs_a), machine_moved(runs_b))


def ratios_at_one_speed(
    a: CellSummary, b: CellSummary, runs_a: Sequence[RunResult], runs_b: Sequence[RunResult]
) -> tuple[Ratio, ...]:
    """B over A of SPEED_METRICS, each run's figure corrected; ``runs`` are the cells' valid ones.

    Of requests/s only where the server's CPU is the limit in both: elsewhere the machine's speed isn't what
    holds it back. () where a run wasn't read: of some runs alone it would be another ratio.
    """
    if any(yardstick_seconds(run) is None for run in (*runs_a, *runs_b)):
        return ()
    is_limit = a.limit == b.limit and a.limit in SERVERS_OWN and not a.is_open_loop
    return tuple(
        ratio_of(metric, _corrected(metric, runs_a), _corrected(metric, runs_b))
        if is_limit or metric.name != "requests_per_second"
        else ratio_of(metric, (), ())
        for metric in SPEED_METRICS
    )


def _corrected(metric: Metric, runs: Sequence[RunResult]) -> list[float]:
    """Each run's figure on a machine whose yardstick takes a second."""
    power = _BY_SPEED[metric.name]
    return [
        figure / seconds**power
        for run in runs
        if (figure := metric.of(run)) is not None and (seconds := yardstick_seconds(run))
    ]
