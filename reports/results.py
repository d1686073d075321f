"""One benchmark's results with everything that sections and exporters read: they take nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from bench.environment.calibration import CALIBRATION_FILE, Calibration, load_calibration
from bench.plan.plan import Environment, Plan
from bench.proofs.kept import KeptProofs
from bench.results.run import RunResult
from bench.results.store import Store
from bench.results.summary import Summary
from bench.verdicts.contest import AllContests, Contest, all_contests
from reports.words.verdicts import Labelled, label_of


@dataclass(frozen=True)
class Results:
    """The plan, the hosts and the runs of one benchmark with their summary."""

    plan: Plan
    environment: Environment
    summary: Summary
    runs: Sequence[RunResult]  # in the order they were made
    calibration: Calibration | None = None  # the load hosts' ceilings; None where they weren't measured
    proofs: KeptProofs = field(default_factory=KeptProofs)  # what else was proven of its servers

    @cached_property
    def _judged(self) -> AllContests:
        return all_contests(self.summary, self.runs, [endpoint.name for endpoint in self.plan.endpoints])

    @cached_property
    def contests(self) -> Labelled:
        """The cells that may be compared, each group with its label, in the report's order."""
        found = self._judged.by_throughput
        return tuple((label_of(contest, found), contest) for contest in found)

    @property
    def rate_contests(self) -> tuple[Contest, ...]:
        """The open-loop cells that may be compared, at equal rates, by p99."""
        return self._judged.by_rate


def results_of(store: Store, plan: Plan, runs: Sequence[RunResult], summary: Summary) -> Results:
    """The results with their hosts and ceilings from the folder. Raises ResultError for a damaged file."""
    path = store.directory / CALIBRATION_FILE
    calibration = load_calibration(path) if path.exists() else None
    proofs = KeptProofs(store.directory)
    return Results(plan, store.read_environment(), summary, runs, calibration, proofs)
