"""How unevenly requests fall on a server's workers, by what each counted itself in the whole run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median

from bench.results.run import RunResult


def imbalance_of(requests: Collection[int], workers: int) -> float | None:
    """The largest share over the mean share of ``workers``, of which some may have answered nothing.

    1.0: all answered as many. None: nothing was answered.
    """
    total = sum(requests)
    return max(requests) * workers / total if total else None


def median_imbalance(runs: Sequence[RunResult]) -> float | None:
    """Over runs; None for one worker, and where no run knows how many each of them answered."""
    found = [
        value
        for run in runs
        if run.cell.workers > 1 and (value := imbalance_of(run.worker_requests, run.cell.workers)) is not None
    ]
    return median(found) if found else None
