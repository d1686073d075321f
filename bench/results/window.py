"""The measured part of a run as the load workers saw it, merged over them all."""

from __future__ import annotations

import msgspec

from bench.results.figures import LoadWorker
from bench.wire.slices import Pairs


class Window(msgspec.Struct, frozen=True):
    """``histogram`` is of the good requests. ``gaps`` are seconds of which a worker sent no slice.

    The fields from ``send_lag`` on are of an open loop. ``backlog_max`` is of all workers together.
    """

    seconds: int
    requests: int
    failures: dict[str, int]
    bytes_received: int
    histogram: Pairs
    failure_histogram: Pairs
    workers: tuple[LoadWorker, ...]
    gaps: dict[str, tuple[int, ...]]
    send_lag: Pairs = ()
    service_histogram: Pairs = ()
    backlog_max: int = 0
    backlog_dropped: int = 0

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def bytes_per_second(self) -> float:
        return self.bytes_received / self.seconds
