"""What an app saw, written down as it happens: a file for each probe, a JSON object a line.

The file outlives a server that dies of the probe. Values keep their types: ``to_plain`` and ``from_plain``
are each other's inverse for what ASGI's messages may hold, and name the class of anything else; Repeated
comes out as bytes.

Shipped; standard library only.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.wire.codec import plain_of

FOLDER_VARIABLE = "ASGIBENCH_WITNESS"
WHOLE_BYTES = 4_096
HEAD_BYTES = 64


@dataclass(frozen=True, slots=True)
class Foreign:
    """A value of a class that no message may hold."""

    kind: str  # the class's full name
    text: str


@dataclass(frozen=True, slots=True)
class LongBytes:
    """A byte string that is too long to be kept."""

    head: bytes
    length: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """Bytes that are told in few words: the other end has them whole."""

    piece: bytes
    times: int


def long_bytes(data: bytes) -> LongBytes:
    return LongBytes(data[:HEAD_BYTES], len(data), zlib.crc32(data))


def to_plain(value: Any) -> Any:
    """As JSON has it. Subclasses of the plain types count as foreign: a message must not need them."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if isinstance(value, int):
        return int(value)  # of an enumeration: an integer all the same
    if kind is bytes:
        return (
            {"bytes": value.decode("latin-1")} if len(value) <= WHOLE_BYTES else to_plain(long_bytes(value))
        )
    if kind is LongBytes:
        return {"head": value.head.decode("latin-1"), "length": value.length, "crc32": value.crc32}
    if kind is Repeated:
        return {"repeated": value.piece.decode("latin-1"), "times": value.times}
    if kind in (list, tuple):
        return {kind.__name__: [to_plain(inner) for inner in value]}
    if isinstance(value, Mapping):
        return {"dict": [[to_plain(key), to_plain(inner)] for key, inner in value.items()]}
    return {"kind": f"{kind.__module__}.{kind.__qualname__}", "text": str(value)[:200]}


def from_plain(plain: Any) -> Any:
    if not isinstance(plain, dict):
        return plain
    if "bytes" in plain:
        return plain["bytes"].encode("latin-1")
    if "repeated" in plain:
        return plain["repeated"].encode("latin-1") * plain["times"]
    if "head" in plain:
        return LongBytes(plain["head"].encode("latin-1"), plain["length"], plain["crc32"])
    if "list" in plain:
        return [from_plain(inner) for inner in plain["list"]]
    if "tuple" in plain:
        return tuple(from_plain(inner) for inner in plain["tuple"])
    if "dict" in plain:
        return {from_plain(key): from_plain(inner) for key, inner in plain["dict"]}
    return Foreign(plain["kind"], plain["text"])


class Record:
    """One probe's. Without a folder nothing is written."""

    def __init__(self, folder: str, token: str) -> None:
        self._path = Path(folder, f"{token}.jsonl") if folder else None

    def note(self, what: str, **more: Any) -> None:
        """Whole on the disk before the next step."""
        if self._path is not None:
            line = {
                "what": what,
                "at": time.monotonic(),
                **{name: to_plain(one) for name, one in more.items()},
            }
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, json.dumps(line).encode() + b"\n")
            finally:
                os.close(file)


@dataclass(frozen=True, slots=True)
class Noted:
    """One line of a record. ``at`` is monotonic, in seconds: of all processes of the host alike."""

    what: str
    at: float
    more: dict[str, Any]


def read_record(folder: Path, token: str) -> tuple[Noted, ...]:
    """All that was noted so far; empty where there is nothing."""
    try:
        text = Path(folder, f"{token}.jsonl").read_text()
    except FileNotFoundError:
        return ()
    lines = (plain_of(line) for line in text.splitlines())
    return tuple(
        Noted(
            line["what"],
            line["at"],
            {name: from_plain(one) for name, one in line.items() if name not in ("what", "at")},
        )
        for line in lines
    )
