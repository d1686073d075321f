"""The network, and latency that is no work: a link that is full, round trips, delayed acknowledgements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import LimitName, Priority, Rule
from bench.judge.rules.load import is_load_at_limit
from bench.judge.thresholds import Thresholds

# Ethernet, IP and TCP headers take 5 to 6 % of a link that is full; the rest is acknowledgements.
LINK_FULL = 0.90
# A round trip that is half of the median latency halves what a server's speed can change.
ROUND_TRIP_PART = 0.5
# Linux delays an acknowledgement by 40 ms at least.
DELAYED_ACK_LOW_SECONDS = 0.038
DELAYED_ACK_HIGH_SECONDS = 0.050
# A timer's wait is about the same for all answers; waits for cores that are short vary.
DELAYED_ACK_ALIKE = 1.25


class NetworkAtLimit(Rule, frozen=True):
    """The link was full. Voids the run unless the server was saturated too."""

    limit: ClassVar[LimitName | None] = "network"
    priority: ClassVar[Priority] = Priority.NETWORK

    bytes_per_second: float
    link_bytes_per_second: float
    invalidates: bool
    remedy: str = "Use a faster link, or more load hosts on links of their own"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[NetworkAtLimit]:
        link = figures.link
        if link is None or link.link_bytes_per_second is None:
            return
        if link.bytes_per_second >= LINK_FULL * link.link_bytes_per_second:
            saturated = figures.is_server_saturated(thresholds)
            yield cls(link.bytes_per_second, link.link_bytes_per_second, invalidates=not saturated)

    @property
    def text(self) -> str:
        part = self.bytes_per_second / self.link_bytes_per_second
        return f"{self.bytes_per_second / 1e6:.1f} MB/s went over the link, {part:.0%} of its speed"


class RoundTripDominates(Rule, frozen=True):
    """Requests spent most of their time on the network.

    In closed loop only: at a stated rate a round trip costs latency and no throughput.
    """

    limit: ClassVar[LimitName | None] = "network"
    priority: ClassVar[Priority] = Priority.ROUND_TRIP

    round_trip_seconds: float
    median_latency_seconds: float
    invalidates: bool = True
    remedy: str = "Use more connections, or load hosts nearer to the server"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[RoundTripDominates]:
        latency, link = figures.median_latency_seconds, figures.link
        if latency is None or link is None or link.round_trip_seconds is None or figures.server is None:
            return
        if figures.open_loop is not None or figures.is_server_saturated(thresholds):
            return
        if link.round_trip_seconds >= ROUND_TRIP_PART * latency:
            yield cls(link.round_trip_seconds, latency)

    @property
    def text(self) -> str:
        return (
            f"the network's round trip of {self.round_trip_seconds * 1e3:.2f} ms is "
            f"{self.round_trip_seconds / self.median_latency_seconds:.0%} of the median latency"
        )


class DelayedAckSuspected(Rule, frozen=True):
    """The median latency is that of Nagle's algorithm against delayed acknowledgements, with CPU to spare."""

    limit: ClassVar[LimitName | None] = "latency"
    priority: ClassVar[Priority] = Priority.LATENCY

    median_latency_seconds: float
    server_part: float
    remedy: str = (
        "See whether the server sets TCP_NODELAY; this is a property of platform and version, not of speed"
    )

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[DelayedAckSuspected]:
        latency, server = figures.median_latency_seconds, figures.server
        if latency is None or server is None or figures.is_server_saturated(thresholds):
            return
        # Answers that wait in a busy generator have any latency: of 50 connections at 1,250/s it is 40 ms.
        if is_load_at_limit(figures, thresholds):
            return
        nine_in_ten = figures.p90_latency_seconds
        is_alike = nine_in_ten is None or nine_in_ten <= DELAYED_ACK_ALIKE * latency
        is_forty = DELAYED_ACK_LOW_SECONDS <= latency <= DELAYED_ACK_HIGH_SECONDS
        if is_forty and is_alike and server.part < thresholds.mostly_waiting:
            yield cls(latency, server.part)

    @property
    def text(self) -> str:
        return (
            f"a median latency of {self.median_latency_seconds * 1e3:.1f} ms with {self.server_part:.0%} "
            "of the server's CPU used is the mark of Nagle's algorithm waiting for delayed acknowledgements"
        )
