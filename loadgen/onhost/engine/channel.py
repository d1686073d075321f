"""Messages over a stream socket that never blocks, in the engine's own loop."""

from __future__ import annotations

import socket
from collections.abc import Callable

from bench.wire.codec import WireError, decode_tagged, encode_tagged
from bench.wire.engine import EVENTS, ORDERS
from loadgen.onhost.engine.connection import AGAIN
from loadgen.onhost.engine.load import EngineError
from loadgen.onhost.engine.poll import READ, WRITE, Poller, Watched


class ChannelClosed(Exception):
    """The process that gives the orders has gone."""


class Channel(Watched):
    """Orders come in, each is given to ``handle``; events go out. Raises ChannelClosed and EngineError."""

    __slots__ = ("_handle", "_incoming", "_outgoing", "_poller", "_socket")

    def __init__(self, sock: socket.socket, poller: Poller, handle: Callable[[object], None]) -> None:
        super().__init__()
        self._socket = sock
        self._poller = poller
        self._handle = handle
        self._incoming = bytearray()
        self._outgoing = bytearray()
        sock.setblocking(False)
        poller.register(sock.fileno(), READ)

    def send(self, event: object) -> None:
        """One of bench.wire.engine.EVENTS."""
        waiting = bool(self._outgoing)
        self._outgoing += encode_tagged(EVENTS, "event", event)
        if not waiting:
            self._flush()
            if self._outgoing:
                self._poller.modify(self._socket.fileno(), READ | WRITE)

    def on_event(self, mask: int) -> None:
        if mask & WRITE:
            self._flush()
            if not self._outgoing:
                self._poller.modify(self._socket.fileno(), READ)
        if mask & ~WRITE:
            self._read()

    def _flush(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except AGAIN:
            pass
        except OSError as error:
            raise ChannelClosed from error

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 20)
        except AGAIN:
            return
        except OSError:
            data = b""
        if not data:
            raise ChannelClosed
        self._incoming += data
        *lines, rest = self._incoming.split(b"\n") if b"\n" in data else [self._incoming]
        self._incoming = rest
        for line in lines:
            self._handle(_order_of(line))


def _order_of(line: bytes | bytearray) -> object:
    try:
        return decode_tagged(ORDERS, "do", bytes(line))
    except WireError as error:
        raise EngineError(f"an order can't be read: {error}") from error
