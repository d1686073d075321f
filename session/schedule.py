"""The runs of the plan in their order, each tried again once where it failed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import msgspec

from bench.errors import AgentError, AsgibenchError, ConnectionLost, DiskFull, LoadError, ServerStartError
from bench.judge.limit import is_spoilt_by_machine
from bench.plan.make import OVERHEAD_GUESS_SECONDS
from bench.plan.plan import PlannedRun
from bench.plan.rate import offered_rate
from bench.results.result import Cell, Reason, RunResult
from bench.results.store import Store
from remote.guarded import GuardRefusal
from remote.server import stop_server
from reports.progress import Progress
from session.finish import summary_of
from session.measure import measure_run
from session.stage import Stage, sampled

ATTEMPTS = 2


FAILURES_IN_A_ROW = 3


def _with_load_of(stage: Stage, cell: Cell, progress: Progress) -> Stage:
    """The stage with the load workers that make this cell's load. Raises LoadError."""
    way = (cell.client, cell.load_on)
    if way == stage.way:
        return stage
    progress.step("starting other load workers")
    load = stage.loads[way]
    cluster = stage.cluster.restart(load.hosts)
    return msgspec.structs.replace(stage, cluster=cluster, placement=load.placement, way=way)


def run_plan(
    stage: Stage,
    left: Sequence[PlannedRun],
    store: Store,
    progress: Progress,
    warnings: list[Reason],
) -> AsgibenchError | None:
    """Every run that is left; the first error of a run that failed for good, or None."""
    per_run = stage.plan.load_seconds / len(stage.plan.runs) + OVERHEAD_GUESS_SECONDS
    progress.begin_runs(len(stage.plan.runs) - len(left), len(stage.plan.runs), per_run * len(left))
    first_error: AsgibenchError | None = None
    in_a_row = 0
    measured = list(store.read_runs())
    for index, run in enumerate(left):
        rate = offered_rate(run.cell, measured)
        if rate is None and run.cell.is_open_loop:
            _skip_unknown_rate(run, progress, warnings)
            continue
        progress.begin_run(run, stage.plan.profile.blocks, rate)
        try:
            result, stage = _run_with_retry(stage, run, rate, store, progress, warnings)
        except AsgibenchError as error:
            in_a_row += 1
            first_error = first_error or error
            warnings.append(Reason("run_failed", f"{run.id} failed: {error.message}", remedy=error.remedy))
            progress.warn(f"{run.id}: {error}")
            if in_a_row >= FAILURES_IN_A_ROW or isinstance(error, ConnectionLost | DiskFull):
                raise
            continue
        in_a_row = 0
        measured.append(result)
        store.write_summary(summary_of(stage.plan, measured, warnings))
        progress.end_run(result)
        progress.expect((len(left) - index - 1) * per_run)
    return first_error


def _skip_unknown_rate(run: PlannedRun, progress: Progress, warnings: list[Reason]) -> None:
    """A share of a maximum that no valid run has shown yet; --resume tries it again."""
    text = f"{run.id} was skipped: no valid closed-loop run shows the maximum that its rate is a share of"
    remedy = "See why the closed-loop run is void, or state a rate in requests a second"
    warnings.append(Reason("rate_unknown", text, remedy))
    progress.warn(text)


def _run_with_retry(
    stage: Stage,
    run: PlannedRun,
    rate: float | None,
    store: Store,
    progress: Progress,
    repeated: list[Reason],
) -> tuple[RunResult, Stage]:
    """The run's result, and the stage to go on with: what was lost in between has been made anew.

    ``repeated`` is given why, where a first try failed.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            stage = _with_load_of(stage, run.cell, progress)
            result, files = measure_run(stage, run, rate, attempt, progress)
            if attempt < ATTEMPTS and is_spoilt_by_machine(result.reasons):
                why = next(reason.text for reason in result.reasons if reason.invalidates)
                progress.warn(f"{run.id}: {why}; measuring it once more")
                continue
            store.write_run(result, files)
            return result, stage
        except (LoadError, ServerStartError, ConnectionLost, AgentError) as error:
            if attempt == ATTEMPTS:
                raise
            progress.warn(f"{run.id}: {error.message}; trying it once more")
            repeated.append(Reason("run_repeated", f"{run.id} was run again: {error.message}", error.remedy))
            stage = _mended(stage, error, f"{run.id}-{attempt}", progress)
    raise AssertionError("unreachable")


def _mended(stage: Stage, error: AsgibenchError, label: str, progress: Progress) -> Stage:
    """The stage after a failed try: connections, agents and load workers as at first."""
    if isinstance(error, ServerStartError):
        return stage
    for host in stage.fleet.reconnect():
        progress.warn(f"{host}: connected again")
    with contextlib.suppress(AsgibenchError):
        # It couldn't be told while its connection was gone, and would refuse the next run.
        stage.agents.end(label, sampled(stage))
    with contextlib.suppress(GuardRefusal):
        stop_server(stage.fleet.server)
    return msgspec.structs.replace(stage, cluster=stage.cluster.restart())
