"""One benchmark from plan to report: prepare the hosts, run the plan, save after every run, judge, render."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from bench.environment.hosts import Inventory
from bench.errors import AsgibenchError
from bench.plan.make import BenchRequest
from bench.plan.plan import Plan, PlannedRun
from bench.results.result import Reason
from bench.results.store import Store
from remote.fleet import Fleet, open_fleet
from remote.guarded import new_session
from remote.ssh.ask import terminal
from reports.progress import Progress
from session.announce import announce
from session.finish import Outcome, finish
from session.locks import keep_locks, kept_locks
from session.prepare import prepare
from session.ready import make_stage
from session.resume import kept_warnings, open_store
from session.schedule import run_plan


def bench(request: BenchRequest, progress: Progress) -> Outcome:
    """Run the plan, or with ``resume`` what is left of it. Results are whole on disk after every run.

    A run that fails is tried again once; the others go on. Raises what stops the whole; what was measured
    until then is saved, judged and rendered all the same, and no process is left on any host.
    """
    prepared = prepare(request)
    store, plan = open_store(request, prepared.plan)
    if not request.resume:
        keep_locks(store, prepared.own_locks)
    locks = kept_locks(store, plan)
    done = store.done_run_ids()
    left = [run for run in plan.runs if run.id not in done]
    announce(progress, plan, prepared.inventory, len(left))
    for lock in locks:
        progress.note("Lock", f"{lock.title}, kept in {store.directory / lock.file_name}")
    warnings = kept_warnings(store)
    error: AsgibenchError | None = None
    if left:
        try:
            with _fleet(request, prepared.inventory, plan, progress) as fleet:
                error = _run_on(fleet, request, plan, left, store, progress, warnings)
        except BaseException:
            if store.done_run_ids():
                finish(store, plan, warnings)
            elif not request.resume:
                store.discard()
            raise
    return finish(store, plan, warnings, error)


@contextlib.contextmanager
def _fleet(request: BenchRequest, inventory: Inventory, plan: Plan, progress: Progress) -> Any:
    progress.step("connecting to " + ", ".join(host.name for host in inventory.hosts))
    fleet = open_fleet(
        inventory,
        new_session(f"benchmark {plan.name}"),
        report=progress.step,
        ask=progress.quiet(terminal()),
    )
    try:
        yield fleet
    finally:
        progress.step("giving the hosts back")
        for host, failure in fleet.release().items():
            progress.warn(
                f"{host} could not be told to stop ({failure}); its guard stops everything by itself"
            )


def _run_on(
    fleet: Fleet,
    request: BenchRequest,
    plan: Plan,
    left: Sequence[PlannedRun],
    store: Store,
    progress: Progress,
    warnings: list[Reason],
) -> AsgibenchError | None:
    stage = make_stage(fleet, request, plan, store, progress, warnings)
    return run_plan(stage, left, store, progress, warnings)
