"""A raw connection to the server, and how silence is told from slowness.

A server that has not answered may be slow, or may wait for more bytes. It waits for more once it has answered
QUIET_ROUNDS requests on other connections, each begun after all our bytes were in its socket, and
QUIET_SECONDS have passed without a byte: it had its turn with ours that often. On a slow machine those
requests are slow too, so that the line moves with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable

QUIET_SECONDS = 0.3
QUIET_ROUNDS = 3
CONTROL_SECONDS = 10.0
"""How long a control request may take; a server that doesn't answer it has hung."""
WHOLE_SECONDS = 30.0
READ_BYTES = 1 << 16


class ServerHung(Exception):
    """It doesn't answer a plain request on another connection any more."""


Control = Callable[[], Awaitable[None]]
"""One plain request on a connection of its own. Raises ServerHung."""


class RawPeer:
    """One connection. ``received`` grows in the background; ``end`` is "open", "closed" or "reset"."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.received = bytearray()
        self.end = "open"
        self._changed = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())
        self.port: int = writer.get_extra_info("sockname")[1]

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(READ_BYTES):
                self.received += data
                self._changed.set()
            self.end = "closed"
        except (OSError, ssl.SSLError):
            self.end = "reset"
        self._changed.set()

    async def send(self, data: bytes) -> None:
        """What a server that has closed doesn't take is dropped: its end says so."""
        if self.end != "open" or self._writer.is_closing():
            return
        with contextlib.suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    def end_sending(self) -> None:
        with contextlib.suppress(OSError):
            if self._writer.can_write_eof():
                self._writer.write_eof()

    async def until(self, is_enough: Callable[[bytes], bool]) -> None:
        """Until ``is_enough`` of what came, or the end."""
        while self.end == "open" and not is_enough(bytes(self.received)):
            self._changed.clear()
            await self._changed.wait()

    async def until_quiet(self, control: Control, is_enough: Callable[[bytes], bool]) -> None:
        """Until ``is_enough`` of what came, the end, or silence as the module's docstring has it."""
        async with asyncio.timeout(WHOLE_SECONDS):
            while self.end == "open" and not is_enough(bytes(self.received)):
                self._changed.clear()
                try:
                    await asyncio.wait_for(self._changed.wait(), QUIET_SECONDS)
                    continue
                except TimeoutError:
                    pass
                for _ in range(QUIET_ROUNDS):
                    await control()
                if not self._changed.is_set():
                    return

    async def close(self) -> None:
        """``end`` stays what the server made it: our own closing is not its."""
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        self._writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await self._writer.wait_closed()


async def connect(address: str, port: int, context: ssl.SSLContext | None = None) -> RawPeer:
    reader, writer = await asyncio.open_connection(
        address, port, ssl=context, server_hostname=address if context else None
    )
    peer = writer.get_extra_info("socket")
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return RawPeer(reader, writer)


def tls_context(certificate: str, alpn: str) -> ssl.SSLContext:
    """Trusts this certificate alone."""
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False  # the address stands in the certificate, the server's own name needn't
    context.set_alpn_protocols([alpn])
    return context


def never(received: bytes) -> bool:
    return False
