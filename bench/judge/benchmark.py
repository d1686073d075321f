"""Reasons that lie in a benchmark's course: runs that are missing, failed, were repeated or don't count.

Their codes are those that results have had from the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from bench.errors import AsgibenchError
from bench.judge.reason import Reason
from bench.judge.speed import MACHINE_SPEED_CODE, machine_speed_reasons
from bench.plan.plan import Plan, PlannedRun
from bench.results.cell import Cell
from bench.results.run import RunResult

DERIVED_CODES = ("incomplete", "one_block", "invalid_runs", "measured_again", MACHINE_SPEED_CODE)
"""The codes of ``benchmark_reasons``: plan and runs give them again, whatever was kept."""
_STATE_A_RATE = "state a rate in requests/s"


def benchmark_reasons(plan: Plan, runs: Sequence[RunResult]) -> Iterator[Reason]:
    """What plan and runs say of a benchmark as a whole."""
    missing = len(plan.runs) - len(runs)
    if missing > 0:
        text = f"{missing} of {len(plan.runs)} planned runs are missing"
        yield Reason("incomplete", text, "Go on with --resume")
    if plan.profile.blocks == 1:
        yield Reason("one_block", "one run each: no interval", "Repeat every cell with --profile review")
    yield from machine_speed_reasons(runs, plan.profile.blocks)
    invalid = sum(not run.valid for run in runs)
    if invalid:
        yield Reason("invalid_runs", f"{invalid} of {len(runs)} runs say nothing about their server")
    yield from _measured_again(runs)


def _measured_again(runs: Sequence[RunResult]) -> Iterator[Reason]:
    """How the tries that count compare with the void ones before them: a reader sees whether that selects."""
    ratios = sorted(
        earlier.requests_per_second / run.requests_per_second
        for run in runs
        for earlier in run.earlier_attempts
        if earlier.requests_per_second is not None and run.requests_per_second
    )
    if not ratios:
        return
    low, high = f"{ratios[0]:.2f}", f"{ratios[-1]:.2f}"
    shown = low if low == high else f"{low} to {high}"
    was, their = ("was", "its") if len(ratios) == 1 else ("were", "their")
    yield Reason(
        "measured_again",
        f"{len(ratios)} of {len(runs)} runs {was} measured again, because {their} first try was void for "
        f"what else the machine did, or at another speed than usual: it had {shown} times the requests/s of "
        "the try that counts",
        "See the runs' table, which has both tries",
    )


def rate_unknown(run: PlannedRun) -> Reason:
    """A run at a share of a maximum that no valid run has shown yet; --resume tries it again."""
    return Reason(
        "rate_unknown",
        f"{run.title} was skipped: no valid closed-loop run shows the maximum that its rate is a share of",
        f"See why the closed-loop run is void, or {_STATE_A_RATE}",
    )


def run_failed(run: PlannedRun, error: AsgibenchError) -> Reason:
    """A run that failed for good."""
    return Reason("run_failed", f"{run.title} failed: {error.message}", error.remedy)


def run_repeated(run: PlannedRun, error: AsgibenchError) -> Reason:
    """A run whose first try failed."""
    return Reason("run_repeated", f"{run.title} was run again: {error.message}", error.remedy)


def try_failed(error: AsgibenchError) -> Reason:
    """Why a try that was not measured to its end doesn't count; kept with the run that another try made."""
    return Reason("run_repeated", error.message, error.remedy, invalidates=True)


def not_run(cell: Cell, runs: Sequence[RunResult]) -> Reason:
    """Why a cell has no run among ``runs``: it is to come, or what its rate is a share of is not known."""
    closed = [run for run in runs if run.cell == cell.closed_loop]
    if cell.rate_share is not None and closed and not any(run.valid for run in closed):
        return Reason(
            "rate_unknown",
            f"{cell.rate_share * 100:g} % of its maximum is unknown: no closed-loop run is valid",
            f"See why its closed-loop runs are void, or {_STATE_A_RATE}",
            invalidates=True,
        )
    return Reason("not_run", "it has not been run yet", "Go on with --resume", invalidates=True)


def unlike_rates(runs: Sequence[RunResult]) -> Iterator[Reason]:
    """Runs of one open-loop cell at several rates, as results have them from before a share was one rate."""
    offered = list(dict.fromkeys(run.open_loop.offered_rate_per_second for run in runs if run.open_loop))
    if len(offered) > 1:
        rates = ", ".join(f"{rate:,.5g}" for rate in offered)
        yield Reason(
            "unlike_rates",
            f"its runs were offered unlike rates: {rates} requests/s; their median is of none of them",
            "Measure again: the share is now one rate in all blocks",
        )


def left_out(reason: Reason) -> Reason:
    """Why some runs of a cell are left out of its figures, which the other runs give."""
    return msgspec.structs.replace(reason, text=f"left out of the figures: {reason.text}", invalidates=False)


def unknown_reason() -> Reason:
    """A cell without a valid run, in results that don't say why."""
    return Reason("unknown", "no run is valid, and no reason was recorded", invalidates=True)


def unranked_because(valid: Sequence[RunResult]) -> Reason | None:
    """Why most of a cell's valid runs are no maximum of their server; None: most are, or there are none."""
    no_maximum = [run for run in valid if any(reason.unranks for reason in run.reasons)]
    if 2 * len(no_maximum) <= len(valid):
        return None
    return next(reason for reason in merged(no_maximum, len(valid)) if reason.unranks)


def merged(runs: Sequence[RunResult], of: int) -> tuple[Reason, ...]:
    """One reason for each code, with how many of the cell's ``of`` runs gave it. What voids comes first."""
    by_code: dict[str, list[Reason]] = {}
    for run in runs:
        for code in dict.fromkeys(reason.code for reason in run.reasons):
            same = [reason for reason in run.reasons if reason.code == code]
            # One that voids a run outweighs a remark of the same code.
            by_code.setdefault(code, []).append(max(same, key=lambda reason: reason.invalidates))
    reasons = []
    for given in by_code.values():
        first = max(given, key=lambda reason: reason.invalidates)
        text = first.text if of == 1 else f"{first.text} ({len(given)} of {of} runs)"
        reasons.append(msgspec.structs.replace(first, text=text))
    return tuple(sorted(reasons, key=lambda reason: not reason.invalidates))
