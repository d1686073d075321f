"""A benchmark summed up, judged and rendered once, and what its exit code comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.errors import AsgibenchError, InvalidMeasurement
from bench.judge.reason import Reason
from bench.plan.plan import Plan
from bench.proofs.kept import take_proofs
from bench.results.all_requests import all_requests_of
from bench.results.run import RunResult
from bench.results.store import HOSTS_FILE, Store
from bench.results.summarise import summarise
from bench.results.summary import Summary
from reports.render import write_report
from session.resume import kept_warnings


class Outcome(msgspec.Struct, frozen=True):
    """How a benchmark ended."""

    directory: Path
    report: Path
    summary: Summary
    runs: tuple[RunResult, ...]
    # What the exit code comes from; None where every run was measured.
    error: AsgibenchError | None


def finish(
    store: Store, plan: Plan, warnings: Sequence[Reason], error: AsgibenchError | None = None
) -> Outcome:
    """Write summary.json, report.csv and report.html of the runs on disk. Raises ResultError, DiskFull."""
    if (store.directory / HOSTS_FILE).is_file():
        take_proofs(store.directory.parent, store, plan, store.read_environment())
    runs = store.read_runs()
    summary = summarise(plan, runs, warnings, all_requests_of(store, runs))
    store.write_summary(summary)
    return Outcome(store.directory, write_report(store, plan, runs, summary), summary, runs, error)


def verdict_error(outcome: Outcome) -> AsgibenchError | None:
    """InvalidMeasurement where some cell has no valid run, else None."""
    invalid = [cell for cell in outcome.summary.cells if not cell.valid]
    if not invalid:
        return None
    named = ", ".join(cell.cell.title for cell in invalid)
    why = next((reason for cell in invalid for reason in cell.reasons if reason.invalidates), None)
    return InvalidMeasurement(
        f"no valid run of {named}" + (f": {why.text}" if why else ""),
        remedy=(why.remedy if why else "") or "The report says why, cell by cell",
    )


def render_again(store: Store) -> Path:
    """Judge and render from the files alone; the report's path. Raises ResultError, DiskFull."""
    return finish(store, store.read_plan(), kept_warnings(store)).report
