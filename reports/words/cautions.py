"""What a reader must know before the figures are used."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.judge.hosts import environment_reasons, no_pss
from bench.judge.reason import Reason
from bench.plan.plan import Environment, Plan
from bench.results.run import RunResult
from bench.results.summary import Summary
from reports.words.numbers import capital


def cautions(
    plan: Plan, environment: Environment, summary: Summary, runs: Sequence[RunResult]
) -> tuple[Reason, ...]:
    """Everything that bounds what the figures say; the gravest first."""
    found = list(summary.warnings)
    known = {reason.code for reason in found}
    found += [reason for reason in environment_reasons(environment) if reason.code not in known]
    if runs and all(run.pss_bytes is None for run in runs):
        found.append(no_pss(server_system(environment)))
    whole = [msgspec.structs.replace(reason, text=capital(reason.text)) for reason in found]
    return (*whole, *_remarks(summary))


def server_system(environment: Environment) -> str:
    """Linux or Darwin; empty where the server host's facts are not known."""
    facts = environment.facts.get(environment.server)
    return "" if facts is None else facts.system


def _remarks(summary: Summary) -> list[Reason]:
    """The remarks of cells that are not refused, each once with the cells that it is of.

    Cells whose load is made as the paper made it are left out: their own section says what a figure is worth.
    """
    cells: dict[Reason, list[str]] = {}
    for cell in summary.cells:
        if cell.cell.is_of_method:
            continue
        for reason in cell.reasons:
            if not reason.invalidates:
                cells.setdefault(reason, []).append(cell.cell.title)
    return [
        msgspec.structs.replace(reason, text=f"{', '.join(where)}: {reason.text}")
        for reason, where in cells.items()
    ]
