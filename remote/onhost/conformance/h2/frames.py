"""Frames of HTTP/2 as bytes, valid and not, and those of the server read back."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITIZED = 0x20
HEAD_BYTES = 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CODES = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)
Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class H2Frame:
    """One frame of the server's."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def error(self) -> str:
        """The name of the code of a GOAWAY or RST_STREAM; a code that none is as its number."""
        (code,) = struct.unpack_from(">I", self.payload, 4 if self.kind == GOAWAY else 0)
        return CODES[code] if code < len(CODES) else str(code)


def frame(
    kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0, *, length: int | None = None
) -> bytes:
    """``length`` is what its head says, where that isn't the payload's."""
    said = len(payload) if length is None else length
    return struct.pack(">I", said)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def frames_in(received: bytes) -> tuple[H2Frame, ...]:
    """The whole ones."""
    found = []
    left = received
    while len(left) >= HEAD_BYTES:
        length = int.from_bytes(left[:3], "big")
        if len(left) < HEAD_BYTES + length:
            break
        kind, flags, stream = struct.unpack(">BBI", left[3:HEAD_BYTES])
        found.append(H2Frame(kind, flags, stream & 0x7FFFFFFF, left[HEAD_BYTES : HEAD_BYTES + length]))
        left = left[HEAD_BYTES + length :]
    return tuple(found)


def block(fields: Fields) -> bytes:
    """Literals without indexing, so that no probe depends on what another one left in a table."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields)


def _text(value: str) -> bytes:
    raw = value.encode("latin-1")
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    head, left = bytearray([127]), len(raw) - 127
    while left >= 128:
        head.append(left % 128 + 128)
        left //= 128
    return bytes([*head, left]) + raw


def usual(path: str = "/first", method: str = "GET", scheme: str = "http") -> list[tuple[str, str]]:
    """The fields of a plain request."""
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", "localhost")]


def headers(
    fields: Fields,
    stream: int = 1,
    flags: int = END_STREAM | END_HEADERS,
    *,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    return frame(HEADERS, before + block(fields) + after, flags, stream)


def get(stream: int = 1, path: str = "/first") -> bytes:
    return headers(usual(path), stream)


def post_head(stream: int = 1, *more: tuple[str, str]) -> bytes:
    """A POST whose body is still to come."""
    return headers([*usual(method="POST"), *more], stream, END_HEADERS)


def data(payload: bytes = b"hello", stream: int = 1, flags: int = END_STREAM) -> bytes:
    return frame(DATA, payload, flags, stream)


def settings(*pairs: tuple[int, int], flags: int = 0, stream: int = 0) -> bytes:
    return frame(SETTINGS, b"".join(struct.pack(">HI", *pair) for pair in pairs), flags, stream)


def window(increment: int, stream: int = 0) -> bytes:
    return frame(WINDOW_UPDATE, struct.pack(">I", increment), 0, stream)


def reset(stream: int = 1, code: int = 8) -> bytes:
    return frame(RST_STREAM, struct.pack(">I", code), 0, stream)


def priority(stream: int, on: int = 0, weight: int = 15) -> bytes:
    return frame(PRIORITY, struct.pack(">IB", on, weight), 0, stream)
