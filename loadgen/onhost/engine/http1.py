"""HTTP/1.1: requests to bytes, bytes to answers. Status, framing and length of every answer are checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from bench.wire.load import LoadSpec
from loadgen.onhost.engine.exchange import Digest, FramingError, LoadProtocol
from loadgen.onhost.engine.load import EngineError, body_of

_HEAD_LIMIT_BYTES = 65_536
_VERSION = b"HTTP/"
_STATUS_LINE = re.compile(rb"HTTP/([0-9])\.([0-9]) ([0-9]{3})(?: (?:[ \t]|[^\x00\s])*)?")
_TOKEN = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*((?:[^\x00\s]+(?:[ \t]+[^\x00\s]+)*)?)[ \t]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;.*)?[ \t]*")
_HEAD_END = re.compile(rb"\n\r?\n")


def build_requests(load: LoadSpec) -> tuple[bytes, ...]:
    """The bytes of each distinct request, in rotation's order. Raises EngineError for unsendable text."""
    body = body_of(load)
    headers = {"host": ("Host", host_header(load))}
    headers |= {name.lower(): (name, value) for name, value in load.headers.items()}
    if body or load.method in ("POST", "PUT", "PATCH"):
        headers["content-length"] = ("Content-Length", str(len(body)))
    if not load.keep_alive:
        headers["connection"] = ("Connection", "close")
    values: tuple[str | None, ...] = load.rotate.values if load.rotate else (None,)
    return tuple(_request_bytes(load, headers, value) + body for value in values)


def host_header(load: LoadSpec) -> str:
    host = load.server_name or (f"[{load.host}]" if ":" in load.host else load.host)
    default_port = 443 if load.tls else 80
    return host if load.port == default_port else f"{host}:{load.port}"


def _request_bytes(load: LoadSpec, headers: dict[str, tuple[str, str]], value: str | None) -> bytes:
    if load.rotate is not None and value is not None:
        name = load.rotate.header
        headers = {**headers, name.lower(): (name, load.rotate.prefix + value)}
    lines = [f"{load.method} {load.path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.values())]
    if any(character in line for line in lines for character in "\r\n\0"):
        raise EngineError("the method, path and headers must not have line breaks in them")
    try:
        return "\r\n".join([*lines, "", ""]).encode("latin-1")
    except UnicodeEncodeError as error:
        raise EngineError(f"a header or the path can't be sent as latin-1: {error}") from error


class ResponseParser:
    """One response at a time, from bytes in pieces of any size.

    ``feed`` until ``complete``; at the end of the file ``end``. Then ``status``, ``body_length``, ``closes``
    (the connection can't be used again) and ``counted`` (its head has the length) hold, and ``head``
    is the final head's bytes, or empty when others came before it. A ``digest`` set before the first byte is
    fed gets the whole body. Interim responses (1xx) are skipped.
    """

    __slots__ = (
        "_pending",
        "_remaining",
        "_request_is_head",
        "_stage",
        "body_length",
        "closes",
        "complete",
        "counted",
        "digest",
        "head",
        "status",
    )

    def __init__(self, method: str = "GET") -> None:
        self._request_is_head = method == "HEAD"
        self.digest: Digest | None = None
        self._pending = bytearray()
        self.reset()

    def reset(self) -> None:
        """Ready for the next response."""
        self._pending.clear()
        self._remaining = 0
        self._stage: Callable[[bytes, int], int] = self._read_head
        self.body_length = 0
        self.closes = False
        self.complete = False
        self.counted = False
        self.digest = None
        self.head = b""
        self.status = 0

    def feed(self, data: bytes) -> int:
        """Take bytes as they came; returns how many of them belong to this response.

        Raises FramingError when they can't be a response.
        """
        offset, size = 0, len(data)
        while offset < size and not self.complete:
            offset = self._stage(data, offset)
        return offset

    def end(self) -> bool:
        """The connection has ended: is the response complete?"""
        if self._stage == self._read_until_end:
            self.complete = True
        return self.complete

    def _read_head(self, data: bytes, offset: int) -> int:
        block, after = self._take_block(data, offset)
        if block is None:
            return after
        lines = _lines(block)
        matched = _STATUS_LINE.fullmatch(lines[0])
        if matched is None:
            raise FramingError(f"not a status line: {lines[0][:80]!r}")
        self.status = int(matched[3])
        fields = _fields(lines[1:])
        if self.status < 200:
            if self.status == 101 or self.status < 100:
                raise FramingError(f"status {self.status} was not asked for")
            _body_size(fields)
            self.head = b"-"
            return after
        self.head = b"" if self.head else block
        self.closes = matched[1] + matched[2] < b"11" or b"close" in fields.get(b"connection", ())
        self._choose_framing(fields)
        return after

    def _choose_framing(self, fields: dict[bytes, list[bytes]]) -> None:
        size = _body_size(fields)
        if self._request_is_head or self.status in (204, 304):
            size, bodiless = 0, True
        else:
            bodiless = False
        if b"transfer-encoding" in fields and not bodiless:
            self._stage = self._read_chunk_size
        elif size is not None:
            self.counted = True
            self._remaining = size
            self._stage = self._read_counted
            self.complete = not size
        else:
            self.closes = True
            self._stage = self._read_until_end

    def _read_counted(self, data: bytes, offset: int) -> int:
        offset = self._take_body(data, offset)
        self.complete = not self._remaining
        return offset

    def _read_until_end(self, data: bytes, offset: int) -> int:
        self._remaining = len(data) - offset
        return self._take_body(data, offset)

    def _read_chunk_size(self, data: bytes, offset: int) -> int:
        line, after = self._take_line(data, offset)
        if line is None:
            return after
        matched = _CHUNK_SIZE.fullmatch(line)
        if matched is None:
            raise FramingError(f"not a chunk's size: {line[:80]!r}")
        self._remaining = int(matched[1], 16)
        self._stage = self._read_chunk if self._remaining else self._read_trailer
        return after

    def _read_chunk(self, data: bytes, offset: int) -> int:
        offset = self._take_body(data, offset)
        if not self._remaining:
            self._stage = self._read_chunk_end
        return offset

    def _read_chunk_end(self, data: bytes, offset: int) -> int:
        wanted = b"\r\n"[len(self._pending) :]
        piece = data[offset : offset + len(wanted)]
        if not wanted.startswith(piece):
            raise FramingError(f"a chunk ends with {piece!r}")
        self._pending += piece
        if len(self._pending) == 2:
            self._pending.clear()
            self._stage = self._read_chunk_size
        return offset + len(piece)

    def _read_trailer(self, data: bytes, offset: int) -> int:
        block, after = self._take_block(data, offset)
        if block is not None:
            _fields(_lines(block))
            self.complete = True
        return after

    def _take_body(self, data: bytes, offset: int) -> int:
        size = min(self._remaining, len(data) - offset)
        if self.digest is not None:
            self.digest.update(memoryview(data)[offset : offset + size])
        self._remaining -= size
        self.body_length += size
        return offset + size

    def _take_block(self, data: bytes, offset: int) -> tuple[bytes | None, int]:
        """A head or a trailer with its empty line, and the offset after it; None when more is to come."""
        pending = self._pending
        known = len(pending)
        pending += data[offset : offset + _HEAD_LIMIT_BYTES + 1]
        if self._stage == self._read_head and pending[: len(_VERSION)] != _VERSION[: len(pending)]:
            raise FramingError(f"not a status line: {bytes(pending[:80])!r}")
        if pending[:1] == b"\n" or pending[:2] == b"\r\n":
            end = 1 if pending[:1] == b"\n" else 2
        else:
            matched = _HEAD_END.search(pending, max(0, known - 2))
            end = matched.end() if matched else 0
        return self._cut(end, known, data, offset)

    def _take_line(self, data: bytes, offset: int) -> tuple[bytes | None, int]:
        """A line without its CRLF, and the offset after it; None when more is to come."""
        if not self._pending and (found := data.find(b"\r\n", offset, offset + _HEAD_LIMIT_BYTES)) >= 0:
            return data[offset:found], found + 2
        known = len(self._pending)
        self._pending += data[offset : offset + _HEAD_LIMIT_BYTES + 1]
        end = self._pending.find(b"\r\n", max(0, known - 1)) + 2
        line, after = self._cut(end if end > 1 else 0, known, data, offset)
        return (None if line is None else line[:-2]), after

    def _cut(self, end: int, known: int, data: bytes, offset: int) -> tuple[bytes | None, int]:
        if end > _HEAD_LIMIT_BYTES or (not end and len(self._pending) >= _HEAD_LIMIT_BYTES):
            raise FramingError(f"a head or a line of more than {_HEAD_LIMIT_BYTES} bytes")
        if not end:
            return None, len(data)
        block = bytes(self._pending[:end])
        self._pending.clear()
        return block, offset + end - known


def _lines(block: bytes) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in block.split(b"\n")[:-2]]


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    """Lower-case name -> the elements of its comma-separated values. Raises FramingError."""
    fields: dict[bytes, list[bytes]] = {}
    for line in _unfold(lines):
        matched = _FIELD.fullmatch(line)
        if matched is None:
            raise FramingError(f"not a header: {line[:80]!r}")
        fields.setdefault(matched[1].lower(), []).extend(
            part.strip().lower() for part in matched[2].split(b",")
        )
    return fields


def _unfold(lines: list[bytes]) -> Iterator[bytes]:
    """Joins the continuation lines of old (RFC 9112, 5.2)."""
    unfolded: list[bytes] = []
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            unfolded.append(line)
        elif unfolded:
            unfolded[-1] += b" " + line.lstrip(b" \t")
        else:
            raise FramingError("a continuation line comes first")
    return iter(unfolded)


def _body_size(fields: dict[bytes, list[bytes]]) -> int | None:
    """What Content-Length says, or None. Raises FramingError when it or Transfer-Encoding makes no sense."""
    if fields.get(b"transfer-encoding", [b"chunked"]) != [b"chunked"]:
        raise FramingError(f"transfer-encoding {fields[b'transfer-encoding']!r}, not chunked")
    lengths = set(fields.get(b"content-length", ()))
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > 20:
        raise FramingError(f"content-length makes no sense: {fields[b'content-length']!r}")
    return int(length)


HTTP1 = LoadProtocol("http/1.1", build_requests, lambda load: ResponseParser(load.method))
