"""How the server was set up: whether it ran as it was asked to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import Priority, Rule
from bench.judge.thresholds import Thresholds
from bench.results.proof import contradictions


class SettingContradicted(Rule, frozen=True):
    """The running server did other than one of its settings asks, and its entry doesn't say so."""

    priority: ClassVar[Priority] = Priority.CONFIGURATION

    found: str
    invalidates: bool = True
    remedy: str = "Correct its command in the catalogue, or say in unhonoured_settings what it does instead"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[SettingContradicted]:
        for one in contradictions(figures.proof):
            yield cls(one.text)

    @property
    def text(self) -> str:
        return f"the server was not set up as asked: {self.found}"
