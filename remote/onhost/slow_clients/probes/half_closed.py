"""Clients that say that they will send no more (a FIN), behind their request or in its midst."""

from __future__ import annotations

import socket
import time

from bench.wire.slow_clients import HalfClose, SlowOrder, SlowReport
from remote.onhost.slow_clients.crowd import connected, is_whole, request, status_of
from remote.onhost.slow_clients.tree import ServerTree

WATCH_SECONDS = 5.0
CASES = {
    "behind the request": request("/"),
    "behind the request, whose answer takes a while": request("/late"),
    "in the midst of the headers": request("/").removesuffix(b"\r\n") + b"X-Half: a",
    "in the midst of the body": request("/read", "Content-Length: 1000", method="POST") + bytes(100),
}


def run(order: SlowOrder, tree: ServerTree) -> SlowReport:
    watched = min(WATCH_SECONDS, order.patience_seconds)
    return SlowReport(
        order.probe,
        half_closed=tuple(_half_close(order, name, sent, watched) for name, sent in CASES.items()),
    )


def _half_close(order: SlowOrder, case: str, sent: bytes, watched_seconds: float) -> HalfClose:
    began = time.monotonic()
    received, closed = b"", False
    with connected(order) as peer:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        while not closed and not is_whole(received):
            left = watched_seconds - (time.monotonic() - began)
            if left <= 0:
                break
            peer.settimeout(left)
            try:
                data = peer.recv(65_536)
            except TimeoutError:
                break
            except OSError:
                data = b""
            received += data
            closed = not data
    return HalfClose(case, status_of(received), is_whole(received), time.monotonic() - began, closed)
