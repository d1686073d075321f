"""One try at one planned run, and what came of it."""

from __future__ import annotations

import msgspec

from bench.errors import AsgibenchError
from bench.judge.reason import Reason
from bench.plan.plan import PlannedRun
from bench.plan.rate import OfferedRate
from bench.results.run import RunResult


class Attempt(msgspec.Struct, frozen=True):
    """One try at one run of the plan."""

    run: PlannedRun
    number: int  # 1 for the first try
    rate: OfferedRate | None  # to offer in open loop; None: closed loop
    usual_seconds: float | None = None  # what the yardstick took in the runs before; None: in none yet

    @property
    def label(self) -> str:
        """Names the run's files on the hosts."""
        return f"{self.run.id}-{self.number}"


class MeasuredRun(msgspec.Struct, frozen=True):
    """A run's result and the files that are saved beside it, by name."""

    result: RunResult
    files: dict[str, bytes]


class RunOutcome(msgspec.Struct, frozen=True):
    """What came of one planned run: a result, an error, or neither where it was skipped."""

    run: PlannedRun
    result: RunResult | None = None
    error: AsgibenchError | None = None
    # What a reader must know of it.
    reasons: tuple[Reason, ...] = ()
