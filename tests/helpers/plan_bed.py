"""A plan run on a stage of stand-ins: what its tries bring is said by the test."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from bench.errors import AsgibenchError
from bench.results.cell import Cell
from bench.results.run import RunResult
from bench.results.store import Store
from reports.terminal.progress import Progress
from session import schedule
from session.attempt import Attempt, MeasuredRun, RunOutcome
from session.schedule import run_plan
from session.stage import Stage
from tests.helpers.results_example import QUICK, example

MADE = example(QUICK)
PLAN = MADE.plan
RESULTS = {run.run_id: run for run in MADE.runs}


class FakeLoad:
    """Load workers that come up at once, unless told to fail."""

    def __init__(self) -> None:
        self.is_up = True
        self.started = 0
        self.failures: list[AsgibenchError] = []

    def is_ready_for(self, cell: Cell) -> bool:
        return self.is_up

    def make_ready_for(self, cell: Cell) -> None:
        self.is_up = False
        if self.failures:
            raise self.failures.pop(0)
        self.started += 1
        self.is_up = True

    def distrust(self) -> None:
        self.is_up = False


class Bed:
    """A stage whose next attempts fail with ``failures`` or bring ``results``, in turn; else all is well."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = store
        self.load = FakeLoad()
        self.failures: list[AsgibenchError | None] = []
        self.results: list[RunResult] = []
        self.attempts: list[Attempt] = []
        self.mended = 0
        self.stage = cast(
            Stage,
            SimpleNamespace(
                fleet=SimpleNamespace(reconnect=lambda: ()),
                parties=SimpleNamespace(
                    load=self.load,
                    agents=SimpleNamespace(mend=self._mend),
                    server=SimpleNamespace(abandon=lambda: None),
                ),
                traffic={endpoint.name: None for endpoint in PLAN.endpoints},
                links=None,
            ),
        )
        monkeypatch.setattr(schedule, "measure_run", self._measure)

    def _mend(self) -> None:
        self.mended += 1

    def _measure(self, attempt: Attempt, *_: Any) -> MeasuredRun:
        assert self.load.is_up, "measured without load workers"
        self.attempts.append(attempt)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return MeasuredRun(self.results.pop(0) if self.results else RESULTS[attempt.run.id], {})

    def outcomes(self, runs: int) -> Iterator[RunOutcome]:
        progress = Progress(Console(file=io.StringIO()))
        return run_plan(PLAN, PLAN.runs[:runs], (), self.stage, self.store, progress)
