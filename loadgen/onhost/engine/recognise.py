"""Answers that the hot loop recognises by their bytes, because this run has parsed and checked the same."""

from __future__ import annotations

import hashlib

from bench.wire.load import LoadSpec
from loadgen.onhost.engine.exchange import Exchange

READ_BYTES = 65_536
_HEADS_KEPT = 64
_WHOLE_LIMIT_BYTES = 16_384
_SMALL_READ_BYTES = 8_192
_FIRST_READ_BYTES = 4_096  # of a large body: its head, and little to copy


class Recogniser:
    """Heads, and one whole small response, that this run has parsed and found good.

    ``heads`` maps a head to the length of its whole response; ``read_bytes`` is what to ask for first.
    """

    __slots__ = ("_digest", "_reads_small", "heads", "read_bytes", "whole")

    def __init__(self, load: LoadSpec) -> None:
        hashes = load.expect.body_sha256
        self._digest = hashes[0] if len(hashes) == 1 else None
        # A TLS record must be read whole: the poller doesn't wake for what is left of one.
        self._reads_small = not load.tls
        self.whole: bytes | None = None
        self.heads: dict[bytes, int] = {}
        self.read_bytes = READ_BYTES

    def remember(self, exchange: Exchange, data: bytes) -> None:
        """After a good response, whose last piece was ``data``."""
        head = exchange.head
        if not (exchange.counted and head) or exchange.closes:
            return
        if len(self.heads) >= _HEADS_KEPT:
            self.heads.clear()
        total = self.heads[head] = len(head) + exchange.body_length
        if self._reads_small:
            self.read_bytes = _read_bytes_for(total)
        if len(data) == total <= _WHOLE_LIMIT_BYTES and self._digest is not None:
            self.whole = data if hashlib.sha256(data[len(head) :]).hexdigest() == self._digest else None


def _read_bytes_for(total_bytes: int) -> int:
    """A buffer costs what it is large; and of a large body only the head is to be copied."""
    if total_bytes <= _SMALL_READ_BYTES // 2:
        return _SMALL_READ_BYTES
    return READ_BYTES if total_bytes <= READ_BYTES else _FIRST_READ_BYTES
