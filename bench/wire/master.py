"""Between the controller and Locust's master: one JSON object a line over a unix socket.

``do`` names a command, ``event`` an event: COMMANDS and EVENTS are their names. When the controller closes
the socket, the master stops everything, tells its workers to end, and ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from bench.wire.load import LoadSpec
from bench.wire.slices import LocustTotals, Slice, Totals


@dataclass(frozen=True, slots=True)
class StartRun:
    """Start a run. Answered by RunStarted, or by MasterError."""

    run: str  # its name, unlike that of any other run
    spec: LoadSpec
    users: int  # connections over all load workers


@dataclass(frozen=True, slots=True)
class ChangeUsers:
    """Change the number of connections of the current run. Answered by RunStarted, or by MasterError."""

    users: int


@dataclass(frozen=True, slots=True)
class StopRun:
    """Stop the current run and collect. Answered by RunStopped; after a run that has ended, by its own."""


@dataclass(frozen=True, slots=True)
class QuitMaster:
    """Stop, tell the load workers to end, and end."""


@dataclass(frozen=True, slots=True)
class MasterListening:
    """Locust's master takes load workers."""

    port: int  # on 127.0.0.1


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A load worker is ready for runs, or was lost: its connection closed, or no heartbeat came for 4 s."""

    worker: str
    state: Literal["joined", "lost"]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Every load worker runs, and what they send with holds so many connections together."""

    run: str
    users: int


@dataclass(frozen=True, slots=True)
class WorkerSlice:
    """A load worker's slice, as it arrives."""

    run: str
    worker: str
    slice: Slice


@dataclass(frozen=True, slots=True)
class RunStopped:
    """The run is over, and what could be collected is in."""

    run: str
    workers: dict[str, Totals]  # by load worker, of those that are not lost
    lost: tuple[str, ...]  # load workers that ended, failed, or sent no totals within 5 s
    locust: LocustTotals


@dataclass(frozen=True, slots=True)
class MasterError:
    """A command could not be done, or the run failed; then WorkerState came before and RunStopped follows."""

    message: str
    remedy: str = ""


COMMANDS: dict[str, type[Any]] = {
    "start": StartRun,
    "users": ChangeUsers,
    "stop": StopRun,
    "quit": QuitMaster,
}
EVENTS: dict[str, type[Any]] = {
    "listening": MasterListening,
    "worker": WorkerState,
    "started": RunStarted,
    "slice": WorkerSlice,
    "stopped": RunStopped,
    "error": MasterError,
}
