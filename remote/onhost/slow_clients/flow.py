"""Watching one end run ahead of the other, until it stops, or is stopped."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.wire.slow_clients import SlowOrder, SlowReport, StoppedFlow, TreeMemory
from remote.onhost.slow_clients.crowd import ask_meanwhile, connected, request
from remote.onhost.slow_clients.probe import Bounds, settled
from remote.onhost.slow_clients.tree import ServerTree
from testapp.proving.slow_clients import COUNT, SENT_FILE

LOOK_SECONDS = 0.05
QUIET_SECONDS = 2.0
"""It has stopped where nothing has moved for so long."""
MOST_SECONDS = 20.0
RECEIVE_BYTES = 16_384
"""How much the system may hold for a client that does not read."""
READ_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Ran:
    """How far, and why it ended."""

    moved_bytes: int
    reached_cap: bool
    still_growing: bool
    seconds: float
    peak_rss_bytes: int


def watch_flow(order: SlowOrder, tree: ServerTree, moved: Callable[[], int]) -> Ran:
    """``moved`` says how many bytes were given so far."""
    bounds = Bounds.of(order, tree)
    began = last_moved_at = time.monotonic()
    last, peak, reached_cap = moved(), 0, False
    while True:
        time.sleep(LOOK_SECONDS)
        now, rss_bytes = moved(), tree.rss_bytes()
        peak = max(peak, rss_bytes)
        if now != last:
            last, last_moved_at = now, time.monotonic()
        reached_cap = now >= order.cap_bytes or rss_bytes > bounds.limit_bytes
        is_quiet = time.monotonic() - last_moved_at > QUIET_SECONDS
        if reached_cap or is_quiet or time.monotonic() - began > MOST_SECONDS or not rss_bytes:
            return Ran(last, reached_cap, not is_quiet, time.monotonic() - began, peak)


def flow_of(
    ran: Ran, order: SlowOrder, tree: ServerTree, before: TreeMemory, taken_bytes: int
) -> StoppedFlow:
    """With the memory now, and whether others are served."""
    return StoppedFlow(
        connections=1,
        ahead_bytes=max(0, ran.moved_bytes - taken_bytes),
        reached_cap=ran.reached_cap,
        still_growing=ran.still_growing,
        seconds=ran.seconds,
        before=before,
        after=tree.read(),
        peak_rss_bytes=ran.peak_rss_bytes,
        meanwhile=ask_meanwhile(order),
    )


def flow_report(order: SlowOrder, tree: ServerTree, leave: Callable[[socket.socket], None]) -> SlowReport:
    """An endless answer, of which a client takes the beginning; ``leave`` is what it does then."""
    before = settled(tree)
    sent = Path(order.witness, SENT_FILE)

    def sent_bytes() -> int:
        content = sent.read_bytes() if sent.exists() else b""
        return int(COUNT.unpack(content)[0]) if len(content) == COUNT.size else 0

    with connected(order, receive_bytes=RECEIVE_BYTES) as peer:
        peer.sendall(request(f"/endless?{order.cap_bytes}"))
        taken_bytes = len(peer.recv(READ_BYTES))
        leave(peer)
        ran = watch_flow(order, tree, sent_bytes)
        return SlowReport(order.probe, flow=flow_of(ran, order, tree, before, taken_bytes))
