"""Answers of a server, cut out of the bytes of its connection; leniently, since what is off is looked for."""

from __future__ import annotations

import re
from dataclasses import dataclass

STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r?\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """One final answer, with the statuses of the interim ones before it. Field names are in lower case."""

    status: int
    version: str  # "HTTP/1.1"
    fields: tuple[tuple[str, str], ...]
    body: bytes
    is_whole: bool  # False: the connection ended, or nothing more came, within it
    interim: tuple[int, ...] = ()

    def field(self, name: str) -> str | None:
        """None without it; of several, all of them."""
        found = [value for key, value in self.fields if key == name]
        return ", ".join(found) if found else None


@dataclass(frozen=True, slots=True)
class AnswersRead:
    """All that came over one connection."""

    finals: tuple[Answer, ...]
    interim: tuple[int, ...]  # after the last of them
    rest: bytes  # what is no answer

    @property
    def statuses(self) -> tuple[int, ...]:
        return tuple(one.status for one in self.finals)


def answers_in(received: bytes, *, bodiless: frozenset[int] = frozenset()) -> AnswersRead:
    """``bodiless``: the places of those that answer HEAD, counted from 0."""
    finals: list[Answer] = []
    interim: list[int] = []
    left = received
    while (start := STATUS_LINE.match(left)) is not None:
        head, separator, after = left.partition(b"\r\n\r\n")
        if not separator:
            break
        status, fields = int(start[1]), _fields(head)
        if 100 <= status < 200 and status != 101:
            interim.append(status)
            left = after
            continue
        has_body = len(finals) not in bodiless and status not in (101, 204, 304)
        body, left, is_whole = _body(after, fields) if has_body else (b"", after, True)
        version = left_version(start[0])
        finals.append(Answer(status, version, fields, body, is_whole, tuple(interim)))
        interim = []
        if status == 101:
            break
    return AnswersRead(tuple(finals), tuple(interim), left)


def left_version(line: bytes) -> str:
    return line.split(b" ", 1)[0].decode()


def _fields(head: bytes) -> tuple[tuple[str, str], ...]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    parts = (line.partition(":") for line in lines)
    return tuple((name.lower(), value.strip()) for name, _, value in parts)


def _body(after: bytes, fields: tuple[tuple[str, str], ...]) -> tuple[bytes, bytes, bool]:
    """(body, what follows it, whether it is whole)."""
    named = dict(fields)
    if "chunked" in named.get("transfer-encoding", "").lower():
        return _chunks(after)
    length = named.get("content-length")
    if length is not None and length.isdigit():
        count = int(length)
        return after[:count], after[count:], len(after) >= count
    return after, b"", True  # until the connection ends


def _chunks(after: bytes) -> tuple[bytes, bytes, bool]:
    body = bytearray()
    left = after
    while True:
        line, separator, rest = left.partition(b"\r\n")
        size = line.split(b";", 1)[0].strip()
        if not separator or re.fullmatch(rb"[0-9A-Fa-f]+", size) is None:
            return bytes(body), left, False
        count = int(size, 16)
        if count == 0:
            trailers, separator, end = rest.partition(b"\r\n")
            while separator and trailers:
                trailers, separator, end = end.partition(b"\r\n")
            return bytes(body), end, bool(separator)
        if len(rest) < count + 2:
            return bytes(body + rest[:count]), b"", False
        body += rest[:count]
        left = rest[count + 2 :]
