"""The runs of the plan in their order, each tried again once where it failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from bench.errors import (
    AgentError,
    AsgibenchError,
    ConnectionLost,
    DiskFull,
    LoadError,
    ServerStartError,
    SeveralHostsFailed,
)
from bench.judge.benchmark import rate_unknown, run_failed, run_repeated, try_failed
from bench.judge.judge import cause_of_another_try
from bench.judge.reason import Reason
from bench.plan.make import OVERHEAD_GUESS_SECONDS
from bench.plan.plan import Plan, PlannedRun
from bench.plan.rate import offered_rate
from bench.results.attempts import failed_attempt
from bench.results.cell import Cell
from bench.results.run import RunResult
from bench.results.speed import usual_seconds
from bench.results.store import Store
from reports.terminal.progress import Progress
from session.attempt import Attempt, RunOutcome
from session.measure import measure_run
from session.stage import Stage

ATTEMPTS = 2
FAILURES_IN_A_ROW = 3
LEAVES_HOSTS_UNREADY = (LoadError, ConnectionLost, AgentError)
WORTH_ANOTHER_TRY = (*LEAVES_HOSTS_UNREADY, ServerStartError)


def run_plan(
    plan: Plan,
    left: Sequence[PlannedRun],
    measured: Sequence[RunResult],
    stage: Stage,
    store: Store,
    progress: Progress,
) -> Iterator[RunOutcome]:
    """Measure and save every run that is ``left``; what came of each, one after the other.

    ``measured`` are the plan's earlier runs. Raises a run's error, after its outcome, where going on is of
    no use: a host that is lost, a full disk, and several failures in a row.
    """
    runs = list(measured)
    per_run = plan.run_seconds + OVERHEAD_GUESS_SECONDS
    progress.begin_runs(len(plan.runs) - len(left), len(plan.runs), per_run * len(left))
    in_a_row = 0
    for index, run in enumerate(left):
        rate = offered_rate(run.cell, runs)
        if rate is None and run.cell.is_open_loop:
            reason = rate_unknown(run)
            progress.warn(reason.text)
            yield RunOutcome(run, reasons=(reason,))
            continue
        progress.begin_run(run, plan.profile.blocks, None if rate is None else rate.per_second)
        usual = usual_seconds(one.machine_speed for one in runs)
        outcome = _run_with_retry(plan, Attempt(run, 1, rate, usual), stage, store, progress)
        yield outcome
        if outcome.error is not None:
            in_a_row += 1
            if in_a_row >= FAILURES_IN_A_ROW or _is_end_of_all(outcome.error):
                raise outcome.error
        if outcome.result is not None:
            in_a_row = 0
            runs.append(outcome.result)
            progress.end_run(outcome.result)
            progress.expect((len(left) - index - 1) * per_run)


def _run_with_retry(plan: Plan, first: Attempt, stage: Stage, store: Store, progress: Progress) -> RunOutcome:
    """The run measured and saved, at its second try if need be, or its error.

    A first try that the machine spoilt is saved too, apart from the runs. It counts as a try when --resume
    goes on: nobody gets a third by interrupting.
    """
    run = first.run
    reasons: tuple[Reason, ...] = ()
    earlier = tuple(one.as_earlier_attempt() for one in store.read_attempts(run.id))
    begin = len(earlier) + 1
    for number in range(begin, max(ATTEMPTS, begin) + 1):
        is_last = number >= ATTEMPTS
        attempt = msgspec.structs.replace(first, number=number)
        try:
            _make_ready(stage, run.cell, progress)
            made = measure_run(
                attempt, plan, stage.traffic[run.cell.endpoint], stage.parties, stage.links, progress
            )
            if not is_last and cause_of_another_try(made.result.reasons) is not None:
                store.write_attempt(made.result, made.files)
                earlier = (*earlier, made.result.as_earlier_attempt())
                progress.again(run, earlier[-1])
                continue
            result = msgspec.structs.replace(made.result, earlier_attempts=earlier)
            store.write_run(result, made.files)
        except AsgibenchError as error:
            causes = _causes(error)
            if any(isinstance(one, LEAVES_HOSTS_UNREADY) for one in causes):
                stage.parties.load.distrust()
            if is_last or not all(isinstance(one, WORTH_ANOTHER_TRY) for one in causes):
                progress.warn(f"{run.title}: {error}")
                return RunOutcome(run, error=error, reasons=(*reasons, run_failed(run, error)))
            progress.warn(f"{run.title}: {error.message}; trying it once more")
            reasons = (*reasons, run_repeated(run, error))
            earlier = (*earlier, failed_attempt(number, try_failed(error)))
        else:
            return RunOutcome(run, result=result, reasons=reasons)
    raise AssertionError("unreachable")


def _make_ready(stage: Stage, cell: Cell, progress: Progress) -> None:
    """The cell's load workers are up; after a failure, connections and agents are as at first too.

    Raises HostUnreachable, AgentError, LoadError. What fails here is tried again before the next run.
    """
    parties = stage.parties
    if parties.load.is_ready_for(cell):
        return
    if parties.load.is_up:
        progress.step("starting other load workers")
    else:
        for host in stage.fleet.reconnect():
            progress.warn(f"{host}: connected again")
        # They could not be stopped while their connection was gone, and would refuse the next run.
        parties.agents.mend()
        parties.server.abandon()
    parties.load.make_ready_for(cell)


def _is_end_of_all(error: AsgibenchError) -> bool:
    return any(isinstance(one, ConnectionLost | DiskFull) for one in _causes(error))


def _causes(error: AsgibenchError) -> tuple[AsgibenchError, ...]:
    """Each host's error where several failed."""
    if not isinstance(error, SeveralHostsFailed):
        return (error,)
    return tuple(cause for _, one in error.failures for cause in _causes(one))
