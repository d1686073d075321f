"""Who was busy while the figures were made, and what measuring itself cost: shares of cores and of time."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.results.pairs import runs_of
from bench.results.run import RunResult
from bench.results.summary import CellSummary


def load_share(run: RunResult) -> float | None:
    """How busy the busiest load worker was (LoadWorker.work_share), which the verdict is made of too."""
    return max((worker.work_share for worker in run.load_workers), default=None)


def server_share(run: RunResult) -> float | None:
    """The server's CPU as a share of the cores its workers could fill: 1.0 is each worker's core in full."""
    if run.server_cpu is None:
        return None
    return run.server_cpu.core_share / max(1, min(run.cell.workers, run.server_cpu.cores))


def cell_load_share(cell: CellSummary, runs: Sequence[RunResult]) -> float | None:
    """The greatest of the cell's runs: the worst case is what a reader must know."""
    shares = [share for run in runs_of(cell, runs) if (share := load_share(run)) is not None]
    return max(shares, default=None)


def cell_server_share(cell: CellSummary, runs: Sequence[RunResult]) -> float | None:
    shares = [share for run in runs_of(cell, runs) if (share := server_share(run)) is not None]
    return median(shares) if shares else None


def overhead_share(runs: Sequence[RunResult]) -> float | None:
    """The share of the runs' time that was neither warm-up, window nor memory rest."""
    total = sum(run.timing.total_seconds for run in runs)
    return sum(run.timing.overhead_seconds for run in runs) / total if total > 0 else None


def agent_shares(runs: Sequence[RunResult]) -> dict[str, float]:
    """The agent's own CPU on each host, the greatest of all runs; 1.0 is a core in full."""
    shares: dict[str, float] = {}
    for run in runs:
        for host, share in run.agent_core_share.items():
            shares[host] = max(share, shares.get(host, 0.0))
    return dict(sorted(shares.items()))
