"""One HTTP/1.1 answer as it came, whatever is wrong with it: nothing is refused here, and nothing mended."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

BODILESS = (204, 304)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(;[^\r\n]*)?\r\n")


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """The final answer; informational ones before it are left out."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]  # names in small letters
    framing: Literal["length", "chunked", "close", "none"]
    body: bytes
    is_complete: bool  # by its own framing
    rest: bytes  # what came behind its end

    def values(self, name: bytes) -> tuple[bytes, ...]:
        return tuple(value for key, value in self.headers if key == name)


def answer_in(received: bytes, method: str, *, ended: bool) -> RawAnswer | None:
    """None where there is no whole head of one. ``ended``: no more will come."""
    head, separator, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    words = first.split(b" ", 2)
    if not separator or not first.startswith(b"HTTP/1.") or len(words) < 2 or not words[1].isdigit():
        return None
    status = int(words[1])
    if 100 <= status < 200 and status != 101:
        return answer_in(rest, method, ended=ended)
    pairs = (line.partition(b":") for line in lines)
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
    return _framed(status, headers, rest, method, ended)


def _framed(
    status: int, headers: tuple[tuple[bytes, bytes], ...], rest: bytes, method: str, ended: bool
) -> RawAnswer:
    by_name = dict(headers)
    if method == "HEAD" or status in BODILESS or status == 101:
        return RawAnswer(status, headers, "none", b"", True, rest)
    if by_name.get(b"transfer-encoding", b"").lower() == b"chunked":
        body, is_complete, rest = _dechunked(rest)
        return RawAnswer(status, headers, "chunked", body, is_complete, rest)
    length = by_name.get(b"content-length", b"")
    if length.isdigit():
        size = int(length)
        return RawAnswer(status, headers, "length", rest[:size], len(rest) >= size, rest[size:])
    return RawAnswer(status, headers, "close", rest, ended, b"")


def _dechunked(data: bytes) -> tuple[bytes, bool, bytes]:
    """(body, whether its last chunk came, what came behind that)."""
    pieces: list[bytes] = []
    while (found := _CHUNK_SIZE.match(data)) is not None:
        size, begin = int(found[1], 16), found.end()
        if size == 0:
            _, separator, rest = data[begin - 2 :].partition(b"\r\n\r\n")
            return b"".join(pieces), bool(separator), rest
        pieces.append(data[begin : begin + size])
        if data[begin + size : begin + size + 2] != b"\r\n":
            break
        data = data[begin + size + 2 :]
    return b"".join(pieces), False, b""
