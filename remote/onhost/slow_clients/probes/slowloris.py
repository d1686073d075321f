"""Connections that send one byte of a header now and then, and never come to its end."""

from __future__ import annotations

from bench.wire.slow_clients import SlowOrder, SlowReport
from remote.onhost.slow_clients.crowd import request
from remote.onhost.slow_clients.probe import hold
from remote.onhost.slow_clients.tree import ServerTree

EVERY_SECONDS = 2.0


def run(order: SlowOrder, tree: ServerTree) -> SlowReport:
    begun = request("/").removesuffix(b"\r\n") + b"X-Slow: a"
    return SlowReport(
        order.probe, held=hold(order, tree, begun, now_and_then=b"a", every_seconds=EVERY_SECONDS)
    )
