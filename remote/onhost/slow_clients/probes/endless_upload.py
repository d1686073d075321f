"""A client that sends without end to an app that does not read: how much the server takes of it."""

from __future__ import annotations

import threading
import time

from bench.wire.slow_clients import SlowOrder, SlowReport
from remote.onhost.slow_clients.crowd import connected, request
from remote.onhost.slow_clients.flow import MOST_SECONDS, flow_of, watch_flow
from remote.onhost.slow_clients.probe import settled
from remote.onhost.slow_clients.tree import ServerTree

BLOCK = bytes(65_536)
UNREAD_SECONDS = MOST_SECONDS + 10


def run(order: SlowOrder, tree: ServerTree) -> SlowReport:
    before = settled(tree)
    moved = 0
    stop = threading.Event()
    head = request(f"/unread?{UNREAD_SECONDS:g}", f"Content-Length: {order.cap_bytes}", method="POST")
    with connected(order) as peer:
        peer.sendall(head)
        peer.settimeout(0.2)

        def pour() -> None:
            nonlocal moved
            while moved < order.cap_bytes and not stop.is_set():
                try:
                    moved += peer.send(BLOCK)
                except TimeoutError:
                    time.sleep(0.01)
                except OSError:
                    return

        writer = threading.Thread(target=pour, daemon=True)
        writer.start()
        try:
            ran = watch_flow(order, tree, lambda: moved)
            flow = flow_of(ran, order, tree, before, 0)
        finally:
            stop.set()
            writer.join(timeout=2.0)
    return SlowReport(order.probe, flow=flow)
