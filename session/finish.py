"""A benchmark summed up, judged and rendered, and what its exit code comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.errors import AsgibenchError, InvalidMeasurement
from bench.plan.plan import Plan
from bench.results.result import Reason, RunResult, Summary
from bench.results.store import Store
from bench.results.summary import summarise
from reports.render import write_report
from session.resume import kept_warnings


class Outcome(msgspec.Struct, frozen=True):
    """How a benchmark ended. ``error`` is what its exit code comes from, or None."""

    directory: Path
    report: Path
    summary: Summary
    runs: tuple[RunResult, ...]
    error: AsgibenchError | None


def finish(
    store: Store, plan: Plan, warnings: Sequence[Reason], error: AsgibenchError | None = None
) -> Outcome:
    runs = tuple(store.read_runs())
    store.write_summary(summary_of(plan, runs, warnings))
    report = write_report(store)
    return Outcome(store.directory, report, store.read_summary(), runs, error)


def summary_of(plan: Plan, runs: Sequence[RunResult], warnings: Sequence[Reason]) -> Summary:
    summary = summarise(plan, runs)
    return msgspec.structs.replace(summary, warnings=(*summary.warnings, *warnings))


def verdict_error(outcome: Outcome) -> AsgibenchError | None:
    """InvalidMeasurement where some cell has no valid run, else None."""
    invalid = [cell for cell in outcome.summary.cells if not cell.valid]
    if not invalid:
        return None
    named = ", ".join(cell.cell.title for cell in invalid)
    why = next((reason for cell in invalid for reason in cell.reasons if reason.invalidates), None)
    return InvalidMeasurement(
        f"no valid run of {named}" + (f": {why.text}" if why else ""),
        remedy=(why.remedy if why else "") or "the report says why, cell by cell",
    )


def render_again(results_root: Path, name: str) -> Path:
    """Judge and render from the files alone; ``name`` may be a path. Raises ResultError."""
    given = Path(name)
    store = Store.open(given.parent, given.name) if given.is_dir() else Store.open(results_root, name)
    return finish(store, store.read_plan(), kept_warnings(store)).report
