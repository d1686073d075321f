"""Whether a run had no bottleneck but time itself."""

from __future__ import annotations

from bench.judge.figures import CpuUse, RunFigures
from bench.judge.thresholds import Thresholds


def is_everybody_waiting(figures: RunFigures, thresholds: Thresholds) -> bool:
    """Every party is known, and none works most of the time, nor is kept from it by other programs."""
    if figures.server is None or not figures.load or figures.others_share >= thresholds.others_spoil:
        return False
    if figures.has_unclear_threads:
        return False
    database_part = 0.0 if figures.database is None else figures.database.part
    busiest = max(
        figures.server_fill,
        figures.shared_fill,
        database_part,
        *(worker.busy_share for worker in figures.load),
    )
    return max(busiest, _shared_part(figures, figures.server)) < thresholds.mostly_waiting


def _shared_part(figures: RunFigures, server: CpuUse) -> float:
    """How full the server's cores are by the load and the server together; 0 where the load has its own."""
    load = figures.load_on_server_cores
    return (server.core_share + load) / figures.cores_shared if load else 0.0
