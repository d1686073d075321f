"""Scaling in words: what a server's further workers bring, and what the curve can't show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.balancers import balancer_title
from bench.results.pairs import paired_ratio, valid_runs
from bench.results.run import RunResult
from bench.results.scaling import Efficiency, ScalingCurve, ScalingPoint
from bench.results.summary import CellSummary
from reports.words.balancers import name_of
from reports.words.numbers import MISSING, counted, listed, percent, times

UNEVEN = 1.2
"""The busiest worker answers a fifth more than the mean: more than connections spread by chance make it."""


def efficiency_text(found: Efficiency | None) -> str:
    """``96 % [94, 98]``."""
    if found is None:
        return MISSING
    if found.low is None or found.high is None:
        return percent(found.mean)
    return f"{percent(found.mean)} [{found.low * 100:.0f}, {found.high * 100:.0f}]"


def imbalance_text(imbalance: float | None) -> str:
    return MISSING if imbalance is None else times(imbalance)


def curve_sentence(curve: ScalingCurve) -> str:
    """What the most workers bring."""
    most = curve.most
    name = f"{name_of(curve.first)} on {curve.first.endpoint}"
    workers = counted(most.workers, "worker")
    if not most.cell.valid:
        return f"{name}: {workers} were not measured, no run of theirs counts."
    if most.efficiency is None:
        return f"{name}: {workers} can’t be held against one, {_why_no_efficiency(curve)}."
    found = most.efficiency
    return (
        f"{name}: {workers} answer {times(found.mean * most.workers)} times what one does, "
        f"{percent(found.mean)} of linear{_interval(found)}{_uneven(most)}."
    )


def _why_no_efficiency(curve: ScalingCurve) -> str:
    first = curve.points[0]
    if first.workers != 1:
        return "which was not measured"
    if not first.cell.valid:
        return "of which no run counts"
    return "because no block has a maximum of both"


def _interval(found: Efficiency) -> str:
    if found.low is None or found.high is None:
        return " (one run each, no interval)"
    return (
        f" (95 % interval {found.low * 100:.0f} to {found.high * 100:.0f} %; "
        f"{counted(found.blocks, 'block')})"
    )


def _uneven(point: ScalingPoint) -> str:
    if point.imbalance is None or point.imbalance < UNEVEN:
        return ""
    return f"; the busiest answered {times(point.imbalance)} times the mean share"


def too_few_cores(curves: Sequence[ScalingCurve], runs: Sequence[RunResult]) -> Iterator[str]:
    """What the curves can't show, as sentences: more workers than cores, and where the load runs."""
    short: dict[tuple[int, int], None] = {}
    of_method = False
    for curve in curves:
        for point in curve.points:
            of_method = of_method or point.cell.cell.is_of_method
            cores = cores_filled(point.cell, runs)
            if cores is not None and cores < point.workers:
                short[point.workers, cores] = None
    for workers, cores in short:
        yield (
            f"{counted(workers, 'worker')} had {counted(cores, 'core')} of the server’s host: what they "
            f"answer beyond {counted(cores, 'worker')} is no scaling in cores, and linear can’t be reached."
        )
    if of_method:
        yield "The load ran on the server’s own cores: what it took of them, the server’s workers lacked."
    most = max((curve.most.workers for curve in curves), default=0)
    if not short and most:
        yield f"The curves end at {counted(most, 'worker')}: what more cores would bring is not shown."


def cores_filled(cell: CellSummary, runs: Sequence[RunResult]) -> int | None:
    """How many cores the cell's server could use at most: one for each worker, as far as there are cores."""
    found = [run.server_cpu.cores for run in valid_runs(cell, runs) if run.server_cpu is not None]
    return min(found, default=None)


def balancer_sentences(cells: Sequence[CellSummary], runs: Sequence[RunResult]) -> Iterator[str]:
    """What the balancer was and where it ran, and what servers answer behind it and without."""
    used = [cell for cell in cells if cell.balancer and cell.balancer_figures is not None]
    if not used:
        return
    title = balancer_title(used[0].balancer)
    figures = [cell.balancer_figures for cell in used if cell.balancer_figures is not None]
    versions = sorted({one.version for one in figures})
    source = "sent there from the controller" if any(one.is_pushed for one in figures) else "the host’s own"
    places = []
    if any(one.is_apart for one in figures):
        places.append("on a core that the server’s processes don’t use, where the host has one to spare")
    if any(not one.is_apart for one in figures):
        places.append("on the server’s own cores, beside its processes, where it has none")
    yield (
        f"{title} {listed(versions)}, {source}, ran with one thread {' and '.join(places)}. Behind it each "
        "server runs as so many processes with one worker each, on Unix sockets, whether it has worker "
        "processes of its own or not. Its CPU and memory are apart from the server’s."
    )
    for cell in used:
        direct = next((one for one in cells if is_same_without(one, cell)), None)
        ratio = None if direct is None else paired_ratio(cell, direct, runs)
        if ratio is not None and ratio.mean is not None:
            interval = (
                ""
                if ratio.low is None or ratio.high is None
                else f" ({times(ratio.low)} to {times(ratio.high)})"
            )
            yield (
                f"{name_of(cell)} with {counted(cell.workers, 'worker')} answers {times(ratio.mean)}"
                f"{interval} of what it answers without on {cell.endpoint}."
            )


def is_same_without(one: CellSummary, balanced: CellSummary) -> bool:
    """``one`` is the same cell as ``balanced`` without its balancer."""
    return one.valid and balanced.valid and one.cell == balanced.cell.without_balancer
