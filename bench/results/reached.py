"""What a run shows of the way its server was reached: TLS as it was agreed on, and memory of open sockets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from bench.samples.memory import Memory, Spread
from bench.wire.slices import Totals

THOUSAND = 1_000


class TlsUse(msgspec.Struct, frozen=True):
    """Of all connections of a run."""

    connections: dict[str, int]  # by version and cipher: ``TLSv1.3 TLS_AES_256_GCM_SHA384``
    resumed: int  # of these, whose session was resumed


class SocketMemory(msgspec.Struct, frozen=True):
    """The idle server before any connection, and with all of them open and not a message sent.

    Bytes of its whole process tree, medians. None: no sample has it.
    """

    connections: int
    rss_before_bytes: int | None
    rss_open_bytes: int | None
    pss_before_bytes: int | None
    pss_open_bytes: int | None

    @property
    def pss_bytes_per_1000(self) -> float | None:
        return _per_1000(self.connections, self.pss_before_bytes, self.pss_open_bytes)

    @property
    def rss_bytes_per_1000(self) -> float | None:
        return _per_1000(self.connections, self.rss_before_bytes, self.rss_open_bytes)


def tls_use(totals: Iterable[Totals]) -> TlsUse | None:
    """Over all load workers; None where none says what was agreed on."""
    found: dict[str, int] = {}
    resumed = 0
    for one in totals:
        resumed += one.tls_resumed
        for agreed, count in one.tls.items():
            found[agreed] = found.get(agreed, 0) + count
    return TlsUse(dict(sorted(found.items())), resumed) if found else None


def socket_memory(connections: int, before: Memory, held: Memory) -> SocketMemory:
    return SocketMemory(
        connections, _median(before.rss), _median(held.rss), _median(before.pss), _median(held.pss)
    )


def median_per_1000(found: Sequence[SocketMemory]) -> tuple[str, float] | None:
    """("PSS" or "RSS", bytes) over runs: PSS where every run has it."""
    for kind, values in (
        ("PSS", [one.pss_bytes_per_1000 for one in found]),
        ("RSS", [one.rss_bytes_per_1000 for one in found]),
    ):
        known = [value for value in values if value is not None]
        if known and len(known) == len(values):
            return kind, median(known)
    return None


def _median(spread: Spread | None) -> int | None:
    return None if spread is None else spread.median


def _per_1000(connections: int, before: int | None, held: int | None) -> float | None:
    return None if before is None or held is None else (held - before) * THOUSAND / connections
