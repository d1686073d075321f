"""One relay that is connected to the guard."""

from __future__ import annotations

import contextlib
import os
import socket

from bench.wire.attach import AttachOrder, Greeting, Hello, HostHeld
from bench.wire.codec import decode_line, encode_line

SEND_SECONDS = 10
CHUNK_BYTES = 1 << 18


class Peer:
    """``admitted``: it has said hello for the guard's own session."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.admitted = False
        self._received = b""

    def lines(self, chunk: bytes) -> list[bytes]:
        """The lines that are whole with ``chunk``; the rest is kept for the next one."""
        *lines, self._received = (self._received + chunk).split(b"\n")
        return lines

    def send(self, line: bytes) -> None:
        self.connection.settimeout(SEND_SECONDS)
        try:
            self.connection.sendall(line)
        except OSError:
            # The reader notices the loss; what was asked for stays done.
            pass
        finally:
            with contextlib.suppress(OSError):
                self.connection.setblocking(False)


def greet(peer: Peer, line: bytes, order: AttachOrder, since: float) -> bool:
    """Answer the peer's first line, and admit it if it is of the session that the guard serves.

    ``since`` is when the guard took the host, in seconds since 1970.
    """
    if decode_line(Hello, line).session != order.session:
        peer.send(encode_line(HostHeld(order.owner, since), event="held"))
        return False
    peer.admitted = True
    peer.send(encode_line(Greeting(os.getpid()), event="greeting"))
    return True
