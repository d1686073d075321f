"""A client that reads the beginning of an endless answer and vanishes: whether the app goes on for nobody."""

from __future__ import annotations

import socket
import struct

from bench.wire.slow_clients import SlowOrder, SlowReport
from remote.onhost.slow_clients.flow import flow_report
from remote.onhost.slow_clients.tree import ServerTree


def run(order: SlowOrder, tree: ServerTree) -> SlowReport:
    def vanish(peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()

    return flow_report(order, tree, vanish)
