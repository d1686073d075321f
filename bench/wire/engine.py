"""Between a load worker (Locust's process) and its engine: one JSON object a line over a socketpair.

``do`` names an order, ``event`` an event: ORDERS and EVENTS are their names. At the end of file the engine
ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.wire.load import LoadSpec
from bench.wire.slices import Slice, Totals


@dataclass(frozen=True, slots=True)
class SetUpRun:
    """Get ready for a run; it begins with the first SetConnections. What was under way is abandoned."""

    run: str
    spec: LoadSpec
    worker: str  # the load worker's name
    index: int  # this worker is number ``index``, from 0,
    workers: int  # of so many


@dataclass(frozen=True, slots=True)
class SetConnections:
    """Hold so many connections from now on."""

    connections: int


@dataclass(frozen=True, slots=True)
class EndRun:
    """Send nothing more, wait for what is in flight, and report the totals."""


@dataclass(frozen=True, slots=True)
class EngineReady:
    """The run of SetUpRun is set up."""


@dataclass(frozen=True, slots=True)
class ConnectionsSet:
    """So many connections are held from now on."""

    connections: int


@dataclass(frozen=True, slots=True)
class SliceOver:
    """A second is over. What only Locust's process knows of it is 0 here."""

    slice: Slice


@dataclass(frozen=True, slots=True)
class RunOver:
    """The run is over; all its slices came before."""

    totals: Totals


@dataclass(frozen=True, slots=True)
class EngineFailed:
    """The run can't be done as asked for, and is abandoned."""

    message: str  # says what to change


ORDERS: dict[str, type[Any]] = {"run": SetUpRun, "connections": SetConnections, "stop": EndRun}
EVENTS: dict[str, type[Any]] = {
    "ready": EngineReady,
    "connections": ConnectionsSet,
    "slice": SliceOver,
    "totals": RunOver,
    "failed": EngineFailed,
}
