"""What the program of slow clients is asked on the server's host, and what it prints.

A SlowOrder in, a SlowReport out: one probe on a server that was started for it. Nothing is judged here
(bench/proofs/slow_clients.py does).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlowOrder:
    """A server that was started with testapp.proving.slow_clients:app, and the probe that it is for."""

    probe: str  # the name of a module of remote/onhost/slow_clients/probes
    pid: int  # the server's leader
    address: str
    port: int
    witness: str  # the folder where the app notes how far it got
    connections: int  # that wait, or whatever the probe does with them
    patience_seconds: float  # how long it is watched whether the server closes them
    cap_bytes: int  # neither may the server's memory grow beyond this nor its app send more
    pairs: int = 5  # slices of load with the connections and without
    slice_seconds: float = 1.0
    ready_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class TreeMemory:
    """Of the server's whole process tree at one moment."""

    rss_bytes: int
    pss_bytes: int | None  # None where the system does not tell


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """New connections beside those that wait, each with one request."""

    asked: int
    answered: int
    slowest_seconds: float | None  # of those that were answered; None: none was


@dataclass(frozen=True, slots=True)
class HeldConnections:
    """Connections that a client holds without using them."""

    asked: int
    opened: int
    limit: str  # why fewer were opened than asked; "" where all were
    before: TreeMemory
    after: TreeMemory  # with all of them open
    meanwhile: Meanwhile
    watched_seconds: float
    closed: int  # by the server, in this time
    first_closed_seconds: float | None  # from the moment when all were open; None: none was
    last_closed_seconds: float | None
    answered_status: int  # of the first that was closed with an answer; 0: without one
    stopped_early: str = ""  # why they were not watched to the end


@dataclass(frozen=True, slots=True)
class StoppedFlow:
    """One end that stopped taking, and how far the other ran ahead of it."""

    connections: int
    ahead_bytes: int  # of all of them together: what was given, less what was taken
    reached_cap: bool
    still_growing: bool  # in the last two seconds
    seconds: float
    before: TreeMemory
    after: TreeMemory
    peak_rss_bytes: int
    meanwhile: Meanwhile


@dataclass(frozen=True, slots=True)
class HalfClose:
    """One connection whose client has said that it will send no more."""

    case: str
    status: int  # of the answer, 0: none
    is_whole: bool
    seconds: float  # until the answer was whole, or the server had closed
    closed: bool  # by the server, in the time that it was watched


@dataclass(frozen=True, slots=True)
class SlicePair:
    """Requests/s of the same load in two neighbouring slices of time."""

    without: float
    beside: float  # while the connections were open


@dataclass(frozen=True, slots=True)
class SlowReport:
    """What one probe found; the parts that it has none of are empty. ``problem``: why there is nothing."""

    probe: str
    problem: str = ""
    held: HeldConnections | None = None
    flow: StoppedFlow | None = None
    half_closed: tuple[HalfClose, ...] = ()
    pairs: tuple[SlicePair, ...] = ()
