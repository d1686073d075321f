"""A client that reads the beginning of an endless answer and stops: how far ``send`` runs ahead of it."""

from __future__ import annotations

from bench.wire.slow_clients import SlowOrder, SlowReport
from remote.onhost.slow_clients.flow import flow_report
from remote.onhost.slow_clients.tree import ServerTree


def run(order: SlowOrder, tree: ServerTree) -> SlowReport:
    return flow_report(order, tree, lambda peer: None)
