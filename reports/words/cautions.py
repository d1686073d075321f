"""What a reader must know before the figures are used."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.plan.plan import Environment, Plan
from bench.results.result import Reason, RunResult, Summary
from reports.words.numbers import listed

_CLOCK_ERROR_SECONDS = 0.01


def cautions(
    plan: Plan, environment: Environment, summary: Summary, runs: Sequence[RunResult]
) -> tuple[Reason, ...]:
    """Everything that bounds what the figures say; the gravest first."""
    found = list(summary.warnings)
    known = {reason.code for reason in found}
    hosts = _placement(environment) + _hosts(environment)
    found += [reason for reason in hosts if reason.code not in known]
    if runs and all(run.pss_bytes is None for run in runs):
        name = {"Darwin": "macOS"}.get(server_system(environment), "the server’s host")
        found.append(Reason("no_pss", f"PSS is not available on {name}: memory is RSS and USS"))
    whole = [msgspec.structs.replace(reason, text=_capital(reason.text)) for reason in found]
    return (*whole, *_remarks(summary))


def server_system(environment: Environment) -> str:
    """Linux or Darwin; empty where the server host's facts are not known."""
    facts = environment.facts.get(environment.server)
    return "" if facts is None else facts.system


def _placement(environment: Environment) -> list[Reason]:
    found = []
    if environment.server in environment.loadgen:
        found.append(
            Reason(
                "shared_host",
                f"the load generator shared {environment.server} with the server",
                "Measure with load hosts of their own before a decision",
            )
        )
    return found


def _hosts(environment: Environment) -> list[Reason]:
    facts = [environment.facts[host.name] for host in environment.hosts if host.name in environment.facts]
    found = []
    scaled = [fact.host for fact in facts if fact.cpu_frequency_scaling not in (None, "performance")]
    if scaled:
        found.append(
            Reason(
                "frequency_scaling", f"CPU frequency scaling is on: {listed(scaled)}", "Set it to performance"
            )
        )
    unpinned = [fact.host for fact in facts if not fact.can_pin]
    if unpinned:
        found.append(Reason("not_pinned", f"processes can’t be pinned to cores on {listed(unpinned)}"))
    unsure = [fact.host for fact in facts if fact.clock_offset_error_seconds > _CLOCK_ERROR_SECONDS]
    if unsure:
        found.append(
            Reason(
                "clock",
                f"clocks are known to worse than 10 ms: {listed(unsure)}",
                "Memory and requests/s over time may be shifted against each other",
            )
        )
    return found


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
        Reason(reason.code, f"{', '.join(where)}: {reason.text}", reason.remedy)
        for reason, where in cells.items()
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
