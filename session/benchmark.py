"""One benchmark from plan to report: prepare the hosts, run the plan, save after every run, judge, render."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench.environment.hosts import Inventory
from bench.errors import AsgibenchError
from bench.plan.plan import Plan
from bench.plan.request import BenchRequest
from bench.results.all_requests import all_requests_of
from bench.results.summarise import summarise
from remote.fleet import Fleet, open_fleet
from remote.guarded import new_session
from remote.ssh.ask import terminal
from reports.terminal.progress import Progress
from session.announce import announce
from session.finish import Outcome, finish
from session.locks import keep_locks, kept_locks
from session.prepare import prepare
from session.resume import kept_warnings, open_store
from session.schedule import run_plan
from session.stage import make_stage


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
    reasons = kept_warnings(store)
    error: AsgibenchError | None = None
    if not left:
        return finish(store, plan, reasons)
    try:
        with _held_fleet(prepared.inventory, plan, progress) as fleet:
            stage = make_stage(fleet, request, plan, store, progress)
            reasons += stage.reasons
            runs = store.read_runs()
            all_requests = all_requests_of(store, runs)
            for outcome in run_plan(plan, left, runs, stage, store, progress):
                reasons += outcome.reasons
                error = error or outcome.error
                if outcome.result is not None:
                    runs += (outcome.result,)
                    own = [run for run in runs if run.cell == outcome.run.cell]
                    all_requests.pop(outcome.run.cell, None)
                    all_requests |= all_requests_of(store, own)
                    store.write_summary(summarise(plan, runs, reasons, all_requests))
    except BaseException:
        if store.done_run_ids():
            finish(store, plan, reasons)
        elif not request.resume:
            store.discard()
        raise
    return finish(store, plan, reasons, error)


@contextlib.contextmanager
def _held_fleet(inventory: Inventory, plan: Plan, progress: Progress) -> Iterator[Fleet]:
    """Every host connected and held; given back at the end, and everything of ours stopped there."""
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
