"""A small closed loop of load, for a ratio: the same in slices with and without what is measured."""

from __future__ import annotations

import selectors
import socket
import time

from bench.wire.slow_clients import SlowOrder
from remote.onhost.slow_clients.crowd import NotServed, connected, is_whole, request

CONNECTIONS = 8
READ_BYTES = 1 << 16
REQUEST = request("/")


def requests_per_second(order: SlowOrder, seconds: float) -> float:
    """Answers/s over CONNECTIONS connections of its own, each asking again once it is answered.

    Raises OSError and NotServed where a connection is lost.
    """
    peers = [connected(order) for _ in range(CONNECTIONS)]
    try:
        return _answers(peers, seconds) / seconds
    finally:
        for peer in peers:
            peer.close()


def _answers(peers: list[socket.socket], seconds: float) -> int:
    answers = 0
    received = dict.fromkeys(peers, b"")
    with selectors.DefaultSelector() as selector:
        for peer in peers:
            selector.register(peer, selectors.EVENT_READ)
            peer.sendall(REQUEST)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                asking = key.fileobj
                assert isinstance(asking, socket.socket)
                data = asking.recv(READ_BYTES)
                if not data:
                    raise NotServed("the server closed a connection of the load")
                received[asking] += data
                if is_whole(received[asking]):
                    received[asking] = b""
                    answers += 1
                    asking.sendall(REQUEST)
    return answers
