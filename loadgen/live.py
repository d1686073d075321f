"""The seconds that have just passed, as the terminal and the watch on a stated rate see them."""

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
    answered: int = 0  # good and failed ones
    waiting: int = 0  # open load: due and not sent, at most; with those that found the backlog full until now


class LiveSeconds:
    """Takes slices from the listening thread; ``seconds`` are those of which every slice has come."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._pending: dict[int, list[Slice]] = {}
        self._seconds: list[LiveSecond] = []
        self._dropped = 0
        self.failures = 0

    def take(self, worker: str, one: Slice) -> None:
        with self._lock:
            self.failures += sum(one.failures.values())
            self._dropped += one.backlog_dropped
            rows = self._pending.setdefault(one.k, [])
            rows.append(one)
            if len(rows) == self._workers and one.k >= 0:
                self._seconds.append(_live_second(one.k, rows, self._dropped))
                self._pending = {k: found for k, found in self._pending.items() if k > one.k}

    def latest(self) -> LiveSecond | None:
        with self._lock:
            return self._seconds[-1] if self._seconds else None

    def seconds(self) -> tuple[LiveSecond, ...]:
        """All of them so far, in order."""
        with self._lock:
            return tuple(self._seconds)


def _live_second(k: int, rows: list[Slice], dropped: int) -> LiveSecond:
    merged = Histogram()
    for row in rows:
        merged.add_pairs(row.histogram)
    return LiveSecond(
        second=k,
        requests=sum(row.requests for row in rows),
        p99_seconds=quantile_seconds(merged, P99),
        core_share=max(row.engine_work_seconds + row.locust_cpu_seconds for row in rows),
        answered=sum(row.answered for row in rows),
        waiting=sum(row.backlog_max for row in rows) + dropped,
    )
