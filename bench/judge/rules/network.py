"""The network, and latency that is no work: a link that is full, round trips, delayed acknowledgements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import LimitName, Priority, Rule
from bench.judge.rules.load import is_load_at_limit
from bench.judge.thresholds import Thresholds
from bench.judge.waiting import is_everybody_waiting
from bench.results.fixed_wait import PEAK_SECONDS

# Ethernet, IP and TCP headers take 5 to 6 % of a link that is full; the rest is acknowledgements.
LINK_FULL = 0.90
# A round trip that is half of the median latency halves what a server's speed can change.
ROUND_TRIP_PART = 0.5
DELAYED_ACK_LOW_SECONDS, DELAYED_ACK_HIGH_SECONDS = PEAK_SECONDS
# A timer's wait is about the same for all answers; waits for cores that are short vary.
DELAYED_ACK_ALIKE = 1.25
# A server that leaves TCP_NODELAY off, and a peak that a timer alone makes: one answer in ten is no chance.
DELAYED_SHARE = 0.10
FIXED_WAIT_SHARE = 0.50
# TCP answers of this size are several packets: less is no matter of bytes per second.
LARGE_ANSWER_BYTES = 10_000
# Shaping by a bucket of tokens lets the same through in every second.
STEADY_SPREAD = 0.05


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


class PacketsAtLimit(Rule, frozen=True):
    """As many packets went over the link as it carries, however small. Voids the run likewise."""

    limit: ClassVar[LimitName | None] = "network"
    priority: ClassVar[Priority] = Priority.NETWORK

    packets_per_second: float
    link_packets_per_second: float
    invalidates: bool
    remedy: str = "Use hosts whose network carries more packets, or more load hosts on links of their own"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[PacketsAtLimit]:
        link = figures.link
        if link is None or link.packets_per_second is None or link.link_packets_per_second is None:
            return
        if link.packets_per_second >= LINK_FULL * link.link_packets_per_second:
            saturated = figures.is_server_saturated(thresholds)
            yield cls(link.packets_per_second, link.link_packets_per_second, invalidates=not saturated)

    @property
    def text(self) -> str:
        part = self.packets_per_second / self.link_packets_per_second
        return f"{self.packets_per_second:,.0f} packets/s went over the link, {part:.0%} of what it carries"


class LinkMayBeSlower(Rule, frozen=True):
    """Large answers came at the same pace in every second, below what was probed, while nobody was busy.

    A link with burst credits, or one that is shaped, carries more for a short probe than in a run. An app
    that waits looks the same, so what held the run back is not known.
    """

    priority: ClassVar[Priority] = Priority.LATENCY
    unranks: ClassVar[bool] = True
    leaves_limit_unknown: ClassVar[bool] = True

    bytes_per_second: float
    probed_bytes_per_second: float
    remedy: str = "Measure the link for as long as a run, and see what its provider promises beyond a burst"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[LinkMayBeSlower]:
        link, spread = figures.link, figures.second_spread
        if link is None or link.probed_bytes_per_second is None or spread is None or not figures.requests:
            return
        if figures.open_loop is not None or is_network_full(figures, thresholds):
            return
        size = link.bytes_per_second * figures.window_seconds / figures.requests
        is_steady = spread <= STEADY_SPREAD and size >= LARGE_ANSWER_BYTES
        if is_steady and is_everybody_waiting(figures, thresholds):
            yield cls(link.bytes_per_second, link.probed_bytes_per_second)

    @property
    def text(self) -> str:
        part = self.bytes_per_second / self.probed_bytes_per_second
        return (
            f"a steady {self.bytes_per_second / 1e6:.1f} MB/s went over the link while nobody was busy: "
            f"it may carry less in a run than the probe found, of which this is {part:.0%}"
        )


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
    """Answers waited for delayed acknowledgements, by Nagle's algorithm, with CPU to spare.

    Where the server is known to leave TCP_NODELAY off, a tenth of them shows it, at any load below its limit.
    Where that isn't known, it is a guess, and needs most answers and CPU that nobody uses.
    """

    limit: ClassVar[LimitName | None] = "latency"
    priority: ClassVar[Priority] = Priority.LATENCY
    unranks: ClassVar[bool] = True

    median_latency_seconds: float
    server_part: float
    remedy: str = (
        "See whether the server sets TCP_NODELAY; this is a property of platform and version, not of speed"
    )
    delayed_share: float | None = None  # of the answers, those in a peak at 40 ms or twice that
    is_known: bool = False  # that the server leaves TCP_NODELAY off

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[DelayedAckSuspected]:
        latency, server = figures.median_latency_seconds, figures.server
        if latency is None or server is None or figures.tcp_nodelay or _is_somebody_full(figures, thresholds):
            return
        once, twice = figures.forty_milliseconds_share, figures.eighty_milliseconds_share
        delayed = None if once is None else once + (twice or 0.0)
        is_known = figures.tcp_nodelay is False
        if is_known:
            is_found = _is_all_forty(figures) if delayed is None else delayed >= DELAYED_SHARE
        else:
            is_found = _is_fixed_wait(figures) and server.part < thresholds.mostly_waiting
        if is_found:
            yield cls(latency, server.part, delayed_share=delayed, is_known=is_known)

    @property
    def text(self) -> str:
        median = f"median latency of {self.median_latency_seconds * 1e3:.1f} ms"
        used = f"{self.server_part:.0%} of the server's CPU used"
        if not self.is_known:
            return (
                f"a {median} with {used} may be Nagle's algorithm waiting for delayed acknowledgements: a "
                "guess, since whether the server sets TCP_NODELAY is not known"
            )
        share = "answers" if self.delayed_share is None else f"{self.delayed_share:.0%} of the answers"
        return (
            f"{share} waited 40 ms or twice that: the server leaves TCP_NODELAY off, and Nagle's algorithm "
            f"waits for delayed acknowledgements ({median}, {used})"
        )


class FixedWait(Rule, frozen=True):
    """Most answers took some 40 ms, and Nagle's algorithm is not why."""

    limit: ClassVar[LimitName | None] = "latency"
    priority: ClassVar[Priority] = Priority.LATENCY
    unranks: ClassVar[bool] = True

    median_latency_seconds: float
    server_part: float
    remedy: str = "See what the app or the server waits for: more connections are answered more often"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[FixedWait]:
        latency, server = figures.median_latency_seconds, figures.server
        if latency is None or server is None or not figures.tcp_nodelay:
            return
        if _is_fixed_wait(figures) and not _is_somebody_full(figures, thresholds):
            yield cls(latency, server.part)

    @property
    def text(self) -> str:
        return (
            f"a fixed wait of about 40 ms holds the answers back (median latency "
            f"{self.median_latency_seconds * 1e3:.1f} ms, {self.server_part:.0%} of the server's CPU used), "
            "and not Nagle's algorithm: the server sets TCP_NODELAY"
        )


def is_network_full(figures: RunFigures, thresholds: Thresholds) -> bool:
    """The link carried no more, by bytes or by packets."""
    full = (*NetworkAtLimit.find(figures, thresholds), *PacketsAtLimit.find(figures, thresholds))
    return bool(full)


def _is_somebody_full(figures: RunFigures, thresholds: Thresholds) -> bool:
    """Answers that wait for a core have any latency: of 50 connections at 1,250/s it is 40 ms."""
    return figures.is_server_saturated(thresholds) or is_load_at_limit(figures, thresholds)


def _is_fixed_wait(figures: RunFigures) -> bool:
    """Most answers are in the peak; without a histogram, as far as percentiles show it."""
    once = figures.forty_milliseconds_share
    return _is_all_forty(figures) if once is None else once >= FIXED_WAIT_SHARE


def _is_all_forty(figures: RunFigures) -> bool:
    """The median is about 40 ms, and nine in ten are not much slower."""
    median, nine_in_ten = figures.median_latency_seconds, figures.p90_latency_seconds
    if median is None or not DELAYED_ACK_LOW_SECONDS <= median <= DELAYED_ACK_HIGH_SECONDS:
        return False
    return nine_in_ten is None or nine_in_ten <= DELAYED_ACK_ALIKE * median
