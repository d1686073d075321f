"""A closed loop in which nobody was at a limit: its throughput is no maximum of the server.

It is that of so many connections, which waited for the server, for the load, for the database in turn, or for
a lock or a timer in the app. More connections may be answered more often, so the figure stands and ranks no
servers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import Priority, Rule
from bench.judge.rules.server import is_bound_by_server
from bench.judge.thresholds import Thresholds
from bench.judge.words import cores_words


class NotSaturated(Rule, frozen=True):
    """Nobody was at a limit, and no other rule says what held the run back."""

    priority: ClassVar[Priority] = Priority.NOBODY
    unranks: ClassVar[bool] = True

    connections: int | None
    server_fill: float | None  # None: not known
    server_cores: float
    load_busy: float | None
    database_is_unknown: bool = False
    remedy: str = "Use more connections, or see what its requests wait for"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[NotSaturated]:
        return cls.find_beside(figures, thresholds, ())

    @classmethod
    def find_beside(
        cls, figures: RunFigures, thresholds: Thresholds, found: Sequence[Rule]
    ) -> Iterator[NotSaturated]:
        if figures.open_loop is not None or figures.generator_is_measured or not figures.requests:
            return
        if is_bound_by_server(figures, thresholds):
            return
        if any(one.limit is not None or one.invalidates or one.unranks for one in found):
            return
        server = figures.server
        yield cls(
            figures.connections,
            None if server is None else figures.server_fill,
            0.0 if server is None else server.cores,
            max((worker.busy_share for worker in figures.load), default=None),
            figures.database_is_foreign and figures.expected_transactions_per_request is not None,
        )

    @property
    def text(self) -> str:
        known = []
        if self.server_fill is not None:
            known.append(f"the server {self.server_fill:.0%} of {cores_words(self.server_cores)}")
        if self.load_busy is not None:
            known.append(f"the busiest load worker {self.load_busy:.0%} of its core")
        used = f" ({' and '.join(known)} used)" if known else ""
        unknown = []
        if self.server_fill is None:
            unknown.append("server")
        if self.database_is_unknown:
            unknown.append("database")
        but = f", of {' and '.join(unknown)} it isn't known" if unknown else ""
        at = "" if self.connections is None else f" of {self.connections} connections"
        return f"nobody was at a limit{used}{but}: this is the throughput{at}, not the server's maximum"
