"""What the link probe's two ends say to each other, and what it prints on a load host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# A thread of the probe that was busy for half of the time may be what held the transfer back.
PROBE_AT_LIMIT = 0.5
LinkPart = Literal["ping", "download", "upload", "packets"]


@dataclass(frozen=True, slots=True)
class LinkOrder:
    """The first line of every connection to the probe that serves, which sends one ``+`` if it agrees."""

    token: str  # what both ends have from the controller
    part: LinkPart  # what is to be done over this connection
    seconds: float = 0.0  # how long to measure


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """What the serving end says last over a connection that carried data."""

    # Its own thread's share of a core, waiting for a core included; after packets, the whole process's.
    busiest_thread: float
    bytes_per_second: float = 0.0  # what arrived there: after an upload


@dataclass(frozen=True, slots=True)
class Transfer:
    """What went over a link in one direction, over several TCP streams at once."""

    bytes_per_second: float  # of the streams' payload, after a run-up, counted where it arrived
    busiest_thread: float  # the core share of the busiest thread at either end
    seconds: float  # how long it was measured

    @property
    def is_lower_bound(self) -> bool:
        """The probe was the limit, and the link carries more."""
        return self.busiest_thread >= PROBE_AT_LIMIT


@dataclass(frozen=True, slots=True)
class PacketRate:
    """Messages of one byte that went to and fro, each a packet, over many connections at once."""

    packets_per_second: float  # each way, after a run-up
    busiest_process: float  # the core share of the busier end, waiting for a core included
    seconds: float  # how long it was measured

    @property
    def is_lower_bound(self) -> bool:
        """The probe was the limit, and the link carries more."""
        return self.busiest_process >= PROBE_AT_LIMIT


@dataclass(frozen=True, slots=True)
class LinkMeasured:
    """One line of JSON on the load host's stdout."""

    # "" where it was measured. ``refused``, ``timeout``, ``stranger`` (something else answers there), or
    # ``unreachable: ...``, ``resolve: ...``, ``lost: ...`` with the system's words.
    problem: str
    download: Transfer | None = None  # from the server
    upload: Transfer | None = None  # None also where it was not asked for
    round_trip_seconds: float | None = None  # the shortest of many
    packets: PacketRate | None = None  # None where all hosts were measured at once
