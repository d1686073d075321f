"""The server's processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import LimitName, Priority, Rule
from bench.judge.thresholds import Thresholds
from bench.judge.words import cores_words


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
        if busiest is not None and busiest >= figures.saturated_line(thresholds):
            yield cls(busiest, server.core_share, server.cores)

    @property
    def text(self) -> str:
        return (
            f"the server's busiest process used {self.busiest_process:.2f} of a core, "
            f"all of them together {self.core_share:.2f} of {self.cores:g}"
        )


class ServerNotFull(Rule, frozen=True):
    """The server's cores held it back, and a few per cent of them were not used."""

    priority: ClassVar[Priority] = Priority.SATURATION

    fill: float  # of the cores, alone or with the database on them
    remedy: str = "Use more connections, and compare with servers that are further apart than that"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[ServerNotFull]:
        if figures.open_loop is not None or figures.generator_is_measured:
            return
        fill = max(figures.server_fill, figures.shared_fill)
        if is_bound_by_server(figures, thresholds) and not figures.has_unclear_threads:
            busiest = 0.0 if figures.server is None else figures.server.busiest_process or 0.0
            if max(fill, busiest) < thresholds.server_full:
                yield cls(max(fill, busiest))

    @property
    def text(self) -> str:
        return (
            f"{self.fill:.0%} of the cores that held the server back were used: "
            f"its maximum may be up to {1 / self.fill - 1:.0%} higher"
        )


class ServerThreadsUnclear(Rule, frozen=True):
    """Several threads of a worker were busy, and none was full: whether they had more to give isn't known."""

    priority: ClassVar[Priority] = Priority.SATURATION
    unranks: ClassVar[bool] = True

    core_share: float
    cores: float
    busiest_thread: float | None
    remedy: str = "Pin the server to as many cores as its workers need (asgibench_cores)"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[ServerThreadsUnclear]:
        server = figures.server
        if server is None or figures.open_loop is not None or figures.generator_is_measured:
            return
        if figures.has_unclear_threads and not is_bound_by_server(figures, thresholds):
            yield cls(server.core_share, figures.cores_shared, server.busiest_thread)

    @property
    def text(self) -> str:
        busiest = self.busiest_thread
        of_it = "several of its threads were busy" if busiest is None else f"its busiest thread {busiest:.2f}"
        return (
            f"the server used {self.core_share:.2f} of {cores_words(self.cores)}, {of_it}: "
            "whether it could have used more is not known"
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


def is_bound_by_server(figures: RunFigures, thresholds: Thresholds) -> bool:
    """The server, or one of its workers, had no core left to use."""
    uneven = ServerWorkersUneven.find(figures, thresholds)
    return figures.is_server_saturated(thresholds) or any(uneven)
