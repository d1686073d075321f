"""WebSocket (RFC 6455) as far as a client needs it to open a connection and to exchange messages. Pure."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0
_FIRST_CONTROL = 0x8
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MOST_CONTROL_BYTES = 125
_NORMAL_CLOSURE = struct.pack(">H", 1000)
KEY_BYTES = 16


class WebSocketError(Exception):
    """What came is no WebSocket frame that a server may send, or no answer that opens a connection."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it came from a server."""

    opcode: int
    is_last: bool  # of its message
    header: bytes
    payload: bytes

    @property
    def is_control(self) -> bool:
        return self.opcode >= _FIRST_CONTROL


def masked_frame(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """A whole message as a client sends it; ``mask`` has four bytes."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = struct.pack(">BH", 0x80 | 126, size)
    else:
        length = struct.pack(">BQ", 0x80 | 127, size)
    return bytes([0x80 | opcode]) + length + mask + _masked(payload, mask)


def _masked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    whole = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")


def close_frame(mask: bytes) -> bytes:
    """A client's normal closure."""
    return masked_frame(CLOSE, _NORMAL_CLOSURE, mask)


def take_frame(received: bytearray) -> Frame | None:
    """Cut one frame off the beginning; None while it isn't there in full. Raises WebSocketError."""
    if len(received) < 2:
        return None
    first, second = received[0], received[1]
    opcode = first & 0x0F
    if first & 0x70:
        raise WebSocketError("a frame has reserved bits, and no extension was agreed on")
    if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
        raise WebSocketError(f"there is no opcode {opcode}")
    if second & 0x80:
        raise WebSocketError("a server's frame is masked")
    size, begin = second & 0x7F, 2
    if opcode >= _FIRST_CONTROL and (size > _MOST_CONTROL_BYTES or not first & 0x80):
        raise WebSocketError("a control frame is too long, or in parts")
    if size >= 126:
        begin = 4 if size == 126 else 10
        if len(received) < begin:
            return None
        size = int.from_bytes(received[2:begin], "big")
        if size < (126 if begin == 4 else 1 << 16) or size >> 63:
            raise WebSocketError("a frame's length isn't in its shortest form")
    end = begin + size
    if len(received) < end:
        return None
    frame = Frame(opcode, bool(first & 0x80), bytes(received[:begin]), bytes(received[begin:end]))
    del received[:end]
    return frame


def opening_request(host: str, path: str, headers: Mapping[str, str], key: str) -> bytes:
    """No extension is offered, so that permessage-deflate is off. ``host`` is the header's value."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def key_of(nonce: bytes) -> str:
    """``nonce`` has KEY_BYTES bytes."""
    return base64.b64encode(nonce).decode()


def accept_of(key: str) -> str:
    """What the server answers to a key."""
    return base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode()).digest()).decode()


def check_opening(head: bytes, key: str) -> int:
    """The status of the answer to an opening request; 101 where the connection is open.

    Raises WebSocketError for what isn't HTTP, and for a 101 that doesn't open what was asked for.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or words[0] != "HTTP/1.1" or not words[1].isdigit():
        raise WebSocketError(f"not a status line: {first[:80]!r}")
    if words[1] != "101":
        return int(words[1])
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if (
        fields.get("upgrade", "").lower() != "websocket"
        or "upgrade" not in fields.get("connection", "").lower()
    ):
        raise WebSocketError("the answer has status 101 and upgrades to something else")
    if fields.get("sec-websocket-accept") != accept_of(key):
        raise WebSocketError("Sec-WebSocket-Accept is not that of the key")
    if fields.get("sec-websocket-extensions"):
        raise WebSocketError("the server agrees to an extension that nobody offered")
    return 101
