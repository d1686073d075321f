"""What connections cost: a new one for a request takes a round trip more, and the server an accept."""

from __future__ import annotations

from collections.abc import Iterator

from bench.judge.figures import RunFigures
from bench.judge.rule import Rule
from bench.judge.thresholds import Thresholds

# A server that ends a connection now and then (after so many requests) moves p99 at most.
RECONNECT_SHARE = 0.01


class ClientReconnects(Rule, frozen=True):
    """The server ended connections that it was asked to keep: requests waited for new ones."""

    reconnects: int
    share: float  # of all requests in the window
    remedy: str = "See whether the server can keep connections alive, and for how many requests"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[ClientReconnects]:
        requests = figures.requests + figures.failed
        if figures.answers is None or not requests:
            return
        share = figures.answers.reconnects / requests
        if share >= RECONNECT_SHARE:
            yield cls(figures.answers.reconnects, share)

    @property
    def text(self) -> str:
        return (
            f"the server ended the connection after {min(self.share, 1.0):.0%} of its answers: "
            f"{self.reconnects:,} requests waited for a new one, which is in their latency"
        )
