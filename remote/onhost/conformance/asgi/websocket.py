"""A WebSocket client that keeps every byte, as RFC 6455 has them and no cleverer."""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
import time
from dataclasses import dataclass

from remote.onhost.conformance.asgi.exchange import PATIENCE_SECONDS, AsgiExchange, Asked

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = base64.b64encode(b"asgibench-0-1-2-")
ACCEPT = base64.b64encode(hashlib.sha1(KEY + GUID).digest())
NO_CODE = 1005
"""What stands for a close frame without a code."""


def handshake(*headers: tuple[bytes, bytes], target: bytes = b"/asgi") -> Asked:
    usual = (
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", KEY),
    )
    return Asked(target=target, headers=(*usual, *headers))


@dataclass(frozen=True, slots=True)
class RawFrame:
    opcode: int
    payload: bytes
    is_last: bool = True

    @property
    def encoded(self) -> bytes:
        """As a client sends it."""
        mask = secrets.token_bytes(4)
        size = len(self.payload)
        head = bytes([self.opcode | (0x80 if self.is_last else 0)])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack("!H", size)
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", size)
        repeated = mask * (size // 4 + 1)
        masked = int.from_bytes(self.payload, "big") ^ int.from_bytes(repeated[:size], "big")
        return head + mask + masked.to_bytes(size, "big")

    @property
    def close_code(self) -> int:
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else NO_CODE

    @property
    def close_reason(self) -> str:
        return self.payload[2:].decode(errors="replace")


def close_frame(code: int | None, reason: str = "") -> RawFrame:
    return RawFrame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


def frames_in(data: bytes) -> tuple[RawFrame, ...]:
    """The whole frames that a server sent, of as many as came."""
    found = []
    while len(data) >= 2:
        size, begin = data[1] & 0x7F, 2
        if size == 126:
            size, begin = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, begin = int.from_bytes(data[2:10], "big"), 10
        if len(data) < begin + size:
            break
        found.append(RawFrame(data[0] & 0x0F, data[begin : begin + size], bool(data[0] & 0x80)))
        data = data[begin + size :]
    return tuple(found)


def server_frames(exchange: AsgiExchange) -> tuple[RawFrame, ...]:
    """Those behind the handshake."""
    return frames_in(bytes(exchange.wire.received).partition(b"\r\n\r\n")[2])


def connect(exchange: AsgiExchange) -> None:
    """Send the handshake, and wait for its answer."""
    exchange.wire.send(exchange.request)
    exchange.wire.read_until(lambda received: b"\r\n\r\n" in received, PATIENCE_SECONDS)


def read_frames(
    exchange: AsgiExchange, count: int, seconds: float = PATIENCE_SECONDS
) -> tuple[RawFrame, ...]:
    """As many frames, or what comes in this time."""
    exchange.wire.read_until(lambda _: len(server_frames(exchange)) >= count, seconds)
    return server_frames(exchange)


def read_close(exchange: AsgiExchange, seconds: float = PATIENCE_SECONDS) -> None:
    """Until the server's close frame; it is answered, and the connection's end waited for."""
    exchange.wire.read_until(lambda _: any(one.opcode == CLOSE for one in server_frames(exchange)), seconds)
    closing = [one for one in server_frames(exchange) if one.opcode == CLOSE]
    exchange.facts["close at"] = time.monotonic()
    if closing:
        exchange.wire.send(RawFrame(CLOSE, closing[0].payload[:2]).encoded)
        exchange.wire.read_for(0.3)
