"""The server's processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import LimitName, Priority, Rule
from bench.judge.thresholds import Thresholds


class ServerWorkersUneven(Rule, frozen=True):
    """One of the server's workers was saturated while others had CPU to spare."""

    limit: ClassVar[LimitName | None] = "server_cpu"
    priority: ClassVar[Priority] = Priority.SERVER

    busiest_process: float
    core_share: float
    cores: float
    remedy: str = "Use more connections: each stays with the worker that accepted it"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[ServerWorkersUneven]:
        server = figures.server
        if server is None or figures.is_server_saturated(thresholds):
            return
        busiest = server.busiest_process
        if busiest is not None and busiest >= thresholds.server_saturated:
            yield cls(busiest, server.core_share, server.cores)

    @property
    def text(self) -> str:
        return (
            f"the server's busiest process used {self.busiest_process:.2f} of a core, "
            f"all of them together {self.core_share:.2f} of {self.cores:g}"
        )


class ProcessesChanged(Rule, frozen=True):
    """The server's processes are not those that it started with."""

    priority: ClassVar[Priority] = Priority.PROCESSES

    appeared: tuple[int, ...]
    vanished: tuple[int, ...]
    invalidates: bool = True
    remedy: str = "See the server's log: a worker died or was replaced"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[ProcessesChanged]:
        change = figures.processes
        if change.appeared or change.vanished:
            yield cls(change.appeared, change.vanished)

    @property
    def text(self) -> str:
        return f"in the window {len(self.vanished)} server processes ended and {len(self.appeared)} appeared"
