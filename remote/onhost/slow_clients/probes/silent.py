"""Connections that send nothing at all."""

from __future__ import annotations

from bench.wire.slow_clients import SlowOrder, SlowReport
from remote.onhost.slow_clients.probe import hold
from remote.onhost.slow_clients.tree import ServerTree


def run(order: SlowOrder, tree: ServerTree) -> SlowReport:
    return SlowReport(order.probe, held=hold(order, tree, b""))
