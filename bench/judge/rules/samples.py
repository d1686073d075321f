"""What is missing: parties that no agent sampled, gaps in samples and in the load workers' figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import Priority, Rule
from bench.judge.thresholds import Thresholds

# A median over the window hardly changes with one slot in twenty.
SAMPLES_MISSED_SHARE = 0.05


class CpuUnknown(Rule, frozen=True):
    """No agent sampled this party: the limit is named without it."""

    priority: ClassVar[Priority] = Priority.SAMPLES

    party: str
    remedy: str = "See the agent's log on that host"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[CpuUnknown]:
        if figures.server is None:
            yield cls("server")
        if figures.expected_transactions_per_request is not None and figures.database is None:
            if figures.database_is_foreign:
                yield cls("database", remedy="It is not ours to sample: see its own monitoring")
            else:
                yield cls("database")

    @property
    def text(self) -> str:
        return f"the CPU of the {self.party} is not known"


class SamplesIncomplete(Rule, frozen=True):
    """The agent was cut off, or missed slots of its schedule."""

    priority: ClassVar[Priority] = Priority.SAMPLES

    cut_off: bool
    missed_share: float
    remedy: str = "See the agent's log on the server's host; leave it a core that is not full"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[SamplesIncomplete]:
        missed = figures.samples_missed_share
        if not figures.samples_complete or missed > SAMPLES_MISSED_SHARE:
            yield cls(not figures.samples_complete, missed)

    @property
    def text(self) -> str:
        cut = "the samples were cut off" if self.cut_off else "the samples have gaps"
        return f"{cut}, {self.missed_share:.0%} of the slots are missing"


class SlicesMissing(Rule, frozen=True):
    """A load worker sent no figures for some seconds of the window."""

    priority: ClassVar[Priority] = Priority.SAMPLES

    worker: str
    seconds: int
    window_seconds: float
    invalidates: bool = True
    remedy: str = "See the load host: its worker was held up"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[SlicesMissing]:
        for worker, seconds in figures.slices_missing.items():
            if seconds:
                yield cls(worker, seconds, figures.window_seconds)

    @property
    def text(self) -> str:
        of = f"{self.seconds} of {self.window_seconds:g} seconds"
        return f"load worker {self.worker} has no figures for {of}"
