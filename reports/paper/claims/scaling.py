"""Claim 6: how the servers use more cores than one."""

from __future__ import annotations

from collections.abc import Sequence

from bench.balancers import balancer_title
from bench.results.pairs import paired_ratio, valid_runs
from bench.results.run import RunResult
from bench.results.scaling import Efficiency, ScalingPoint, scaling_curves
from bench.results.summary import CellSummary
from reports.paper.claim import (
    CONFIRMED,
    INCONCLUSIVE,
    REFUTED,
    Claim,
    PaperClaim,
    all_of,
    servers_compared,
    untested,
)
from reports.paper.ratios import TOLERANCE, shown
from reports.results import Results
from reports.words.numbers import counted, listed
from reports.words.scaling import cores_filled, efficiency_text

WITH_WORKERS = ("uvicorn", "hypercorn")
BY_BALANCER = "daphne"
HAVE_WORKERS = "Scaling: uvicorn and hypercorn have worker processes of their own"
NEAR_LINEAR = "Scaling: uvicorn’s and hypercorn’s workers are near-linear in cores"
NEEDS_BALANCER = "Scaling: daphne needs a load balancer over several processes"
STATED = "stated"


def _judge(results: Results) -> tuple[Claim, ...]:
    return (_have_workers(results), _near_linear(results), _needs_balancer(results))


def _have_workers(results: Results) -> Claim:
    """As many processes as were asked for have answered the load, behind one port and nothing else."""
    here, verdicts = [], []
    for package in WITH_WORKERS:
        cells = [cell for cell in _cells(results, package) if cell.workers > 1 and not cell.balancer]
        if not cells:
            return untested(HAVE_WORKERS, STATED, _not_asked([package], "--workers 1,2"))
        most = max(cells, key=lambda cell: cell.workers)
        answered = answering(most, results.runs)
        here.append(f"{package}: {answered} of {counted(most.workers, 'worker')} answered")
        verdicts.append(CONFIRMED if answered == most.workers else INCONCLUSIVE)
    return Claim(HAVE_WORKERS, STATED, "; ".join(here), all_of(verdicts))


def answering(cell: CellSummary, runs: Sequence[RunResult]) -> int:
    """How many of the server's processes have answered a load, in the run in which most have."""
    return max((len(run.worker_requests) for run in valid_runs(cell, runs)), default=0)


def _near_linear(results: Results) -> Claim:
    here, verdicts, missing = [], [], []
    for package in WITH_WORKERS:
        found = _measurable(results, package)
        if not found:
            missing.append(_why_not_measurable(results, package))
        for point, efficiency in found:
            here.append(
                f"{package} on {point.cell.endpoint} {efficiency_text(efficiency)} of linear with "
                f"{counted(point.workers, 'worker')}"
            )
            verdicts.append(linear_verdict(efficiency))
    if missing:
        return untested(NEAR_LINEAR, STATED, "; ".join(dict.fromkeys(missing)))
    most = max(point.workers for package in WITH_WORKERS for point, _ in _measurable(results, package))
    note = f"up to {counted(most, 'core')}; within 10 % of linear counts as near"
    return Claim(NEAR_LINEAR, STATED, "; ".join(here), all_of(verdicts), note)


def linear_verdict(found: Efficiency) -> str:
    """Near-linear is within 10 %, as a claimed ratio is met."""
    if found.low is None or found.high is None:
        return INCONCLUSIVE
    if found.low >= 1 / TOLERANCE:
        return CONFIRMED
    return REFUTED if found.high < 1 / TOLERANCE else INCONCLUSIVE


def _measurable(results: Results, package: str) -> list[tuple[ScalingPoint, Efficiency]]:
    """The most workers on each endpoint that had a core each, all of which they used up."""
    chosen = servers_compared(results.plan, results.summary).get(package)
    found = []
    for curve in scaling_curves(results.summary, results.runs):
        if curve.server != chosen or curve.balancer or curve.first.cell.is_of_method:
            continue
        points = [(point, point.efficiency) for point in curve.points if _is_of_cores(point, results.runs)]
        known = [(point, efficiency) for point, efficiency in points if efficiency is not None]
        if known:
            found.append(known[-1])
    return found


def _is_of_cores(point: ScalingPoint, runs: Sequence[RunResult]) -> bool:
    """Each worker had a core of the server's own, and CPU was what held them back."""
    if point.workers == 1 or not point.cell.valid or point.cell.limit != "server_cpu":
        return False
    return cores_filled(point.cell, runs) == point.workers


def _why_not_measurable(results: Results, package: str) -> str:
    several = [cell for cell in _cells(results, package) if cell.workers > 1 and not cell.balancer]
    if not several:
        return _not_asked([package], "--workers 1,2")
    if all(cell.cell.is_of_method for cell in several):
        return "the load ran on the server’s own cores"
    least = min(several, key=lambda cell: cell.workers)
    cores = cores_filled(least, results.runs)
    if cores is not None and cores < least.workers:
        return f"the server’s host had {counted(cores, 'core')} for {counted(least.workers, 'worker')} of it"
    return f"no run of {package} with several workers used up its cores beside one with one worker"


def _needs_balancer(results: Results) -> Claim:
    """It runs one process by itself, and several of it answer behind a balancer."""
    cells = [cell for cell in _cells(results, BY_BALANCER) if cell.workers > 1]
    alone = [cell for cell in cells if not cell.balancer]
    if alone:
        here = f"{counted(alone[0].workers, 'worker')} of its own answered"
        return Claim(NEEDS_BALANCER, STATED, here, REFUTED)
    if not cells:
        return untested(
            NEEDS_BALANCER, STATED, _not_asked([BY_BALANCER], "--workers 1,2 --balancer none,haproxy")
        )
    most = max(cells, key=lambda cell: cell.workers)
    answered = answering(most, results.runs)
    title = balancer_title(most.balancer)
    here = f"{answered} of {most.workers} processes answered behind {title}{_gain(results, most)}"
    if answered < most.workers:
        return Claim(NEEDS_BALANCER, STATED, here, INCONCLUSIVE)
    note = "its command starts one process, and has no other way"
    return Claim(NEEDS_BALANCER, STATED, here, CONFIRMED, note)


def _gain(results: Results, cell: CellSummary) -> str:
    """What the several answer beside one process behind the same balancer."""
    one = next((one for one in _cells(results, BY_BALANCER) if _is_one_of(one, cell)), None)
    ratio = None if one is None else paired_ratio(cell, one, results.runs)
    if ratio is None or ratio.mean is None:
        return ""
    return f", {shown(ratio)} times what one does on {cell.endpoint}"


def _is_one_of(one: CellSummary, cell: CellSummary) -> bool:
    alike = (one.server, one.endpoint, one.balancer) == (cell.server, cell.endpoint, cell.balancer)
    return alike and one.workers == 1


def _cells(results: Results, package: str) -> list[CellSummary]:
    """Valid ones of the entry that is compared with the paper's."""
    chosen = servers_compared(results.plan, results.summary).get(package)
    return [cell for cell in results.summary.closed_loop_cells if cell.server == chosen and cell.valid]


def _not_asked(packages: Sequence[str], options: str) -> str:
    return f"no valid run of {listed(list(packages))} with several workers: {options} measures them"


CLAIM = PaperClaim(6, _judge)
