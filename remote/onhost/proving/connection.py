"""A connection to the server under proof that keeps every byte of both directions."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from bench.wire.proving import Exhibit, ProbeOrder

ANSWER_SECONDS = 3.0
"""How long an answer that must come may take."""
QUIET_SECONDS = 0.3
"""How long what must not come is waited for."""
READ_BYTES = 1 << 16


class NotAnswered(Exception):
    """What had to come did not come; the text says what came instead."""


class RecordedConnection:
    """One connection, over TCP, TLS or a Unix socket. ``sent`` and ``received`` are what has passed over
    it."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self.sent = bytearray()
        self.received = bytearray()
        self.ended = ""  # how the server ended it: "closed", "reset", or "" while it is open

    def __enter__(self) -> RecordedConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """What the server does not take any more is not counted as sent."""
        try:
            self.peer.sendall(data)
        except OSError:
            self.ended = self.ended or "reset"
        else:
            self.sent += data

    def wait_for(
        self, is_there: Callable[[bytes], bool], what: str, seconds: float = ANSWER_SECONDS
    ) -> bytes:
        """All that was received, once ``is_there`` of it; raises NotAnswered, saying that ``what`` lacks."""
        if not self.read_until(is_there, seconds):
            came = bytes(self.received[:80])
            after = f", and the connection was {self.ended}" if self.ended else ""
            raise NotAnswered(f"no {what} within {seconds:g} s: {came!r} came{after}")
        return bytes(self.received)

    def read_until(self, is_there: Callable[[bytes], bool], seconds: float) -> bool:
        """Read until ``is_there`` of what was received, the server ends it, or the time is over."""
        deadline = time.monotonic() + seconds
        while not is_there(bytes(self.received)):
            if not self._read_some(deadline):
                return is_there(bytes(self.received))
        return True

    def read_for(self, seconds: float = QUIET_SECONDS) -> bytes:
        """What comes in this time, or until the server ends it."""
        before = len(self.received)
        self.read_until(lambda received: False, seconds)
        return bytes(self.received[before:])

    def _read_some(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0 or self.ended:
            return False
        pending = isinstance(self.peer, ssl.SSLSocket) and self.peer.pending()
        if not pending and not select.select([self.peer], [], [], left)[0]:
            return False
        self.peer.settimeout(left)
        try:
            data = self.peer.recv(READ_BYTES)
        except TimeoutError:
            return False
        except OSError:
            self.ended = "reset"
            return False
        finally:
            self.peer.settimeout(ANSWER_SECONDS)
        if not data:
            self.ended = "closed"
            return False
        self.received += data
        return True

    def close(self) -> None:
        self.peer.close()

    def evidence(self, label: str = "") -> tuple[Exhibit, ...]:
        """Both directions. ``label`` tells one connection of a probe from another."""
        named = f"{label}: " if label else ""
        return (
            Exhibit.of(f"{named}the client sent", bytes(self.sent)),
            Exhibit.of(f"{named}the server sent", bytes(self.received)),
        )


def open_connection(
    order: ProbeOrder,
    *,
    alpn: Sequence[str] = (),
    version: ssl.TLSVersion | None = None,
    any_cipher: bool = False,
    plain: bool = False,
) -> RecordedConnection:
    """Connect as the order says.

    ``alpn``, ``version`` and ``any_cipher`` (old ones too) are of TLS alone; ``plain`` leaves TLS out.

    Raises OSError; ssl.SSLError is one.
    """
    if order.socket:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(ANSWER_SECONDS)
        peer.connect(order.socket)
    else:
        peer = socket.create_connection((order.address, order.port), timeout=ANSWER_SECONDS)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if order.tls and not plain:
        try:
            context = tls_context(order, alpn, version)
            if any_cipher:
                context.set_ciphers("ALL:@SECLEVEL=0")
            return RecordedConnection(context.wrap_socket(peer, server_hostname=order.address))
        except BaseException:
            peer.close()
            raise
    return RecordedConnection(peer)


def tls_context(
    order: ProbeOrder, alpn: Sequence[str] = (), version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """Trusts the order's certificate alone. Of ``version`` alone, if it is given."""
    context = ssl.create_default_context(cafile=order.certificate)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context
