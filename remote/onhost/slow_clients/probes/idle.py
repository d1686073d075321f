"""Very many connections that were used once and are kept: memory, and others’ throughput beside them."""

from __future__ import annotations

import time
from dataclasses import replace

from bench.wire.slow_clients import HeldConnections, SlicePair, SlowOrder, SlowReport
from remote.onhost.slow_clients.crowd import request
from remote.onhost.slow_clients.load import requests_per_second
from remote.onhost.slow_clients.probe import SETTLE_SECONDS, hold
from remote.onhost.slow_clients.tree import ServerTree

WARM_UP_SECONDS = 0.5


def run(order: SlowOrder, tree: ServerTree) -> SlowReport:
    """Slices of load: beside, without, without, beside, beside ...: each pair is of neighbours.

    The first connections are opened before any load, which leaves memory behind that they would be given.
    """
    without: list[float] = []
    beside: list[float] = []
    first: HeldConnections | None = None
    while len(beside) < order.pairs:

        def load_beside() -> None:
            if not beside:
                requests_per_second(order, WARM_UP_SECONDS)
            _fill(beside, order, min(len(without) + 1, order.pairs))

        patient = replace(order, patience_seconds=0.0)
        held = hold(patient, tree, request("/"), awaits_answer=True, while_open=load_beside)
        first = first or held
        time.sleep(SETTLE_SECONDS)
        _fill(without, order, min(len(beside) + 1, order.pairs))
    pairs = tuple(SlicePair(*pair) for pair in zip(without, beside, strict=True))
    return SlowReport(order.probe, held=first, pairs=pairs)


def _fill(slices: list[float], order: SlowOrder, count: int) -> None:
    while len(slices) < count:
        slices.append(requests_per_second(order, order.slice_seconds))
