"""What must hold in the figures of every run. They come before all other rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import Priority, Rule
from bench.judge.thresholds import Thresholds
from bench.results.invariants import Contradiction


class FiguresContradict(Rule, frozen=True):
    """Figures of the run that must be alike are not. One reason for each load worker, by its first.

    Nothing is allowed for: these are counts of the same requests, and not measurements.
    """

    priority: ClassVar[Priority] = Priority.INVARIANTS

    worker: str  # "": all of them together
    what: str
    found: int
    expected: int
    more: int = 0  # contradictions of the same worker
    invalidates: bool = True
    remedy: str = "Measure again; if it stays, please report it with the run's folder"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[FiguresContradict]:
        by_worker: dict[str, list[Contradiction]] = {}
        for one in figures.contradictions:
            by_worker.setdefault(one.worker, []).append(one)
        for worker, found in by_worker.items():
            first = found[0]
            yield cls(worker, first.what, first.found, first.expected, len(found) - 1)

    @property
    def text(self) -> str:
        of = f"load worker {self.worker}" if self.worker else "all load workers"
        more = f" ({self.more} more contradictions beside it)" if self.more else ""
        figures = f"{self.found:,}, not {self.expected:,}"
        return f"figures contradict each other: {self.what} of {of}: {figures}{more}"
