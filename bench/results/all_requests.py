"""The latency of all requests of a cell's runs together, from the histograms beside their results."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.cell import Cell
from bench.results.latency import Latency, latency_of
from bench.results.run import RunResult
from bench.results.store import Store
from bench.wire.histogram import Histogram


def all_requests_of(store: Store, runs: Sequence[RunResult]) -> dict[Cell, Latency]:
    """Latency of all requests of each cell's valid ``runs``, where they may be put together.

    Reads one histogram after the other. Raises ResultError for one that is damaged.
    """
    by_cell: dict[Cell, list[RunResult]] = {}
    for run in runs:
        if run.valid:
            by_cell.setdefault(run.cell, []).append(run)
    found = {}
    for cell, own in by_cell.items():
        latency = _all_requests(store, own) if _are_alike(own) else None
        if latency is not None:
            found[cell] = latency
    return found


def _all_requests(store: Store, runs: Sequence[RunResult]) -> Latency | None:
    good, waited = Histogram(), Histogram()
    for run in runs:
        histograms = store.read_histograms(run.run_id)
        if "good" not in histograms:
            return None
        good.add_pairs(histograms["good"])
        # Of requests that never got an answer; older results left them out.
        waited.add_pairs(histograms.get("waited", ()))
    return latency_of(good.to_pairs(), waited.to_pairs())


def _are_alike(runs: Sequence[RunResult]) -> bool:
    lengths = {run.timing.window_seconds for run in runs}
    rates = {run.open_loop.offered_rate_per_second for run in runs if run.open_loop is not None}
    return len(lengths) == 1 and len(rates) <= 1
