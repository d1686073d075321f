"""The second that has just passed, as the terminal shows it while a run lasts."""

from __future__ import annotations

import threading

import msgspec

from bench.results.latency import P99, quantile_seconds
from bench.wire.histogram import Histogram
from bench.wire.slices import Slice


class LiveSecond(msgspec.Struct, frozen=True):
    """One second over all load workers."""

    second: int  # since the epoch
    requests: int  # the good ones
    p99_seconds: float | None  # None: too few good requests for it
    core_share: float  # the busiest load worker's, both of its processes; 1.0 is one core in full


class LiveSeconds:
    """Takes slices from the listening thread; ``latest`` is the last second of which every slice has come."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._pending: dict[int, list[Slice]] = {}
        self._latest: LiveSecond | None = None
        self.failures = 0

    def take(self, worker: str, one: Slice) -> None:
        with self._lock:
            self.failures += sum(one.failures.values())
            rows = self._pending.setdefault(one.k, [])
            rows.append(one)
            if len(rows) == self._workers and one.k >= 0:
                self._latest = _live_second(one.k, rows)
                self._pending = {k: found for k, found in self._pending.items() if k > one.k}

    def latest(self) -> LiveSecond | None:
        with self._lock:
            return self._latest


def _live_second(k: int, rows: list[Slice]) -> LiveSecond:
    merged = Histogram()
    for row in rows:
        merged.add_pairs(row.histogram)
    return LiveSecond(
        second=k,
        requests=sum(row.requests for row in rows),
        p99_seconds=quantile_seconds(merged, P99),
        core_share=max(row.engine_work_seconds + row.locust_cpu_seconds for row in rows),
    )
