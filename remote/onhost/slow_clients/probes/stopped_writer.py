"""Connections that stop in the midst of their request's body, which the app waits for."""

from __future__ import annotations

from bench.wire.slow_clients import SlowOrder, SlowReport
from remote.onhost.slow_clients.crowd import request
from remote.onhost.slow_clients.probe import hold
from remote.onhost.slow_clients.tree import ServerTree

DECLARED_BYTES = 100_000
SENT_BYTES = 1_000


def run(order: SlowOrder, tree: ServerTree) -> SlowReport:
    opening = request("/read", f"Content-Length: {DECLARED_BYTES}", method="POST") + bytes(SENT_BYTES)
    return SlowReport(order.probe, held=hold(order, tree, opening))
