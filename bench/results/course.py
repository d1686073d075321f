"""The machine's own speed over the runs of a cell, of a benchmark, and between two cells. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from bench.results.run import RunResult
from bench.results.speed import spread


class CellSpeed(msgspec.Struct, frozen=True):
    """How far the runs of one cell agree in what a server can't change by itself. Spreads: 0.3 for 30 %."""

    cpu_per_request_min: float  # CPU seconds of the server
    cpu_per_request_max: float
    cpu_per_request_spread: float | None  # the greatest over the least, less 1; None: a single run
    yardstick_spread: float | None  # of fixed work on the server's cores; None: not read in two runs
    yardstick_seconds: float | None = None  # that work's CPU seconds, the median over the runs
    load_spread: float | None = None  # of the load's own CPU per request; None: not known of two runs


def yardstick_seconds(run: RunResult) -> float | None:
    """CPU seconds of fixed work on the server's cores in the run; None: it wasn't read."""
    return None if run.machine_speed is None else run.machine_speed.server.seconds


def cell_speed(runs: Sequence[RunResult]) -> CellSpeed | None:
    """Of the runs that a cell's figures come from. None: CPU per request is known of none."""
    costs = [cost for run in runs if (cost := run.cpu_seconds_per_request) is not None]
    if not costs:
        return None
    read = [seconds for run in runs if (seconds := yardstick_seconds(run)) is not None]
    return CellSpeed(
        cpu_per_request_min=min(costs),
        cpu_per_request_max=max(costs),
        cpu_per_request_spread=spread(costs),
        yardstick_spread=spread(read),
        yardstick_seconds=median(read) if read else None,
        load_spread=spread([cost for run in runs if (cost := load_cpu_seconds_per_request(run))]),
    )


def load_cpu_seconds_per_request(run: RunResult) -> float | None:
    """Of all load workers in the window: for one cell the same work in every run, beside the server's."""
    used = sum(worker.work_share for worker in run.load_workers)
    return used / run.requests_per_second if used and run.requests_per_second else None


def speed_between(one: CellSpeed | None, other: CellSpeed | None) -> float | None:
    """How much longer fixed work took beside the slower of two cells: 0.3 for 30 %. None: not known."""
    read = [speed.yardstick_seconds for speed in (one, other) if speed is not None]
    known = [seconds for seconds in read if seconds is not None]
    return spread(known)


def machine_moved(runs: Sequence[RunResult]) -> float | None:
    """How much longer fixed work took in the slowest of the runs than in the fastest: 0.3 for 30 %."""
    return spread([seconds for run in runs if (seconds := yardstick_seconds(run)) is not None])
