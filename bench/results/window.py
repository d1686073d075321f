"""The measured part of a run as the load workers saw it, merged over them all."""

from __future__ import annotations

import msgspec

from bench.results.figures import LoadWorker
from bench.wire.slices import Pairs


class WorkerSecond(msgspec.Struct, frozen=True):
    """What was not answered in one second of one load worker: bench/wire/slices.py says what each is."""

    worker: str
    second: int  # from the start of the load
    quiet_seconds_max: float
    quiet_seconds_at_end: float
    stalls: int
    in_flight: Pairs = ()  # at the second's end


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
    # Requests that never got an answer, by how long they had waited: those that failed by timeout, and those
    # that were owed one when the window ended.
    waited: Pairs = ()
    waited_service: Pairs = ()  # open loop: from sent on
    bodies_checked: int = 0  # answers of the right status and length whose whole body was looked at
    silence: tuple[WorkerSecond, ...] = ()
    # How long the load workers' slices of the window were, by their monotonic clocks; None: ``seconds``.
    measured_seconds: float | None = None

    @property
    def real_seconds(self) -> float:
        """What its counts are of."""
        return self.measured_seconds or self.seconds

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.real_seconds

    @property
    def bytes_per_second(self) -> float:
        return self.bytes_received / self.real_seconds
