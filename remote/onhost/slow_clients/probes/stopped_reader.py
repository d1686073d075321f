"""Clients that ask for 430,000 bytes and read none of them: what the server keeps for each."""

from __future__ import annotations

import contextlib
import socket
import time

from bench.wire.slow_clients import SlowOrder, SlowReport, StoppedFlow
from remote.onhost.slow_clients.crowd import ask_meanwhile, connected, request
from remote.onhost.slow_clients.probe import Bounds, settled
from remote.onhost.slow_clients.tree import ServerTree

RECEIVE_BYTES = 16_384
ANSWER_BYTES = 430_000
WATCH_SECONDS = 2.0


def run(order: SlowOrder, tree: ServerTree) -> SlowReport:
    bounds = Bounds.of(order, tree)
    before = settled(tree)
    began = time.monotonic()
    peers: list[socket.socket] = []
    reached_cap = False
    try:
        while len(peers) < order.connections and not reached_cap:
            peer = connected(order, receive_bytes=RECEIVE_BYTES)
            peers.append(peer)
            peer.sendall(request("/long"))
            reached_cap = bool(bounds.why_stop())
        first = settled(tree)
        time.sleep(WATCH_SECONDS)
        after = tree.read()
        meanwhile = ask_meanwhile(order)
    finally:
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.close()
    return SlowReport(
        order.probe,
        flow=StoppedFlow(
            connections=len(peers),
            ahead_bytes=len(peers) * ANSWER_BYTES,
            reached_cap=reached_cap,
            still_growing=False,
            seconds=time.monotonic() - began,
            before=before,
            after=after,
            peak_rss_bytes=max(first.rss_bytes, after.rss_bytes),
            meanwhile=meanwhile,
        ),
    )
