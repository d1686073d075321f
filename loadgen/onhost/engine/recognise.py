"""Answers that the hot loop recognises by their bytes, because this run has parsed and checked the same."""

from __future__ import annotations

import hashlib

from bench.wire.load import SMALL_BODY_BYTES, LoadSpec
from loadgen.onhost.engine.exchange import Exchange

READ_BYTES = 65_536
# Heads differ by their Date each second, and by the length where each user has a body of another length.
_HEADS_KEPT = 1_024
_SMALL_READ_BYTES = 8_192
_FIRST_READ_BYTES = 4_096  # of a large body: its head, and little to copy
# Longer than any body that is kept, so it equals none.
_NOT_KNOWN = bytes(SMALL_BODY_BYTES + 1)


class KeptBody:
    """The digest of an answer whose body may be kept."""

    __slots__ = ("_hash", "_kept")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._kept = bytearray()

    def update(self, data: memoryview) -> None:
        self._hash.update(data)
        if len(self._kept) <= SMALL_BODY_BYTES:
            self._kept += data

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    @property
    def body(self) -> bytes | None:
        """None where it is too long to be kept."""
        return bytes(self._kept) if len(self._kept) <= SMALL_BODY_BYTES else None


class Recogniser:
    """Heads and bodies that this run has parsed and found good.

    ``heads`` maps a head to the length of its whole response; ``read_bytes`` is what to ask for first. Where
    ``compares``, every body is held against ``bodies``, the right ones by their place in the rotation,
    and hashed where it isn't there yet; ``ends`` are where to cut responses to have their heads. ``whole`` is
    one response in full where all have the same small body.
    """

    __slots__ = (
        "_has_one_body",
        "_reads_small",
        "bodies",
        "compares",
        "ends",
        "heads",
        "read_bytes",
        "whole",
    )

    def __init__(self, load: LoadSpec, requests: int) -> None:
        hashes = load.expect.body_sha256
        self.compares = bool(hashes) and load.hash_sample_every == 1
        self._has_one_body = len(hashes) == 1
        # A TLS record must be read whole: the poller doesn't wake for what is left of one.
        self._reads_small = not load.tls
        self.bodies = [_NOT_KNOWN] * requests
        self.ends: list[int | None] = [0] * requests  # 0: no head is empty, so none is found
        self.whole: bytes | None = None
        self.heads: dict[bytes, int] = {}
        self.read_bytes = READ_BYTES

    def remember(self, exchange: Exchange, index: int, data: bytes) -> None:
        """After a good response to request ``index``, whose last piece was ``data``."""
        if self.compares and not self._keep_body(exchange, index):
            return
        head = exchange.head
        if not (exchange.counted and head) or exchange.closes:
            return
        if len(self.heads) >= _HEADS_KEPT:
            self.heads.clear()
        total = self.heads[head] = len(head) + exchange.body_length
        if self._reads_small:
            self.read_bytes = _read_bytes_for(total)
        if self.compares and self._has_one_body and len(data) == total:
            self.whole = data

    def _keep_body(self, exchange: Exchange, index: int) -> bool:
        digest = exchange.digest
        body = digest.body if isinstance(digest, KeptBody) else None
        if body is None:
            return False
        places = slice(None) if self._has_one_body else slice(index, index + 1)
        count = len(self.bodies[places])
        self.bodies[places] = [body] * count
        self.ends[places] = [-len(body) or None] * count
        return True

    def missing(self, data: bytes, index: int) -> int:
        """How many bytes are to come of a response to request ``index``, of which ``data`` came.

        0 where it isn't known to be right so far.
        """
        begin = len(data) if data in self.heads else data.find(b"\r\n\r\n") + 4
        total, body = self.heads.get(data[:begin], 0), self.bodies[index]
        is_right = total == begin + len(body) and body.startswith(data[begin:])
        return total - len(data) if is_right else 0


def _read_bytes_for(total_bytes: int) -> int:
    """A buffer costs what it is large; and of a large body only the head is to be copied."""
    if total_bytes <= _SMALL_READ_BYTES // 2:
        return _SMALL_READ_BYTES
    return READ_BYTES if total_bytes <= READ_BYTES else _FIRST_READ_BYTES
