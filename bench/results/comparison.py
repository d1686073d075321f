"""Two benchmarks of one plan, cell by cell: ratios B over A with their intervals, flips of ranking, a gate.

The runs of A and B have no block in common, so a ratio's interval is Welch's on the logarithms of the runs'
figures (neither the spread nor the number of runs need be equal), widened to hold the ratio of the medians.
It says how the ratio would vary over repeats on these hosts on these days. Each interval is of one figure and
not widened for their number. Servers within one benchmark are compared block by block, as the report does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import combinations
from statistics import fmean, median, variance

import msgspec

from bench.errors import GateFailed, GateUndecided
from bench.plan.plan import Environment, Plan
from bench.results.likeness import check_alike, without_environment
from bench.results.result import Cell, CellSummary, Estimate, RunResult
from bench.results.summary import CONFIDENCE, estimate, summarise, t_quantile


class Measured(msgspec.Struct, frozen=True):
    """One benchmark as its folder holds it; ``name`` is the folder's."""

    name: str
    plan: Plan
    environment: Environment
    runs: tuple[RunResult, ...]


class Metric(msgspec.Struct, frozen=True):
    """A figure of a run. ``resolution`` is the relative step below which two runs can't differ.

    ``is_gated``: --fail-over judges by it.
    """

    name: str
    of: Callable[[RunResult], float | None]
    more_is_better: bool = False
    resolution: float = 0.0
    is_gated: bool = True


def _requests_per_second(run: RunResult) -> float | None:
    return run.requests_per_second


def _p99_seconds(run: RunResult) -> float | None:
    return None if run.latency_seconds is None else run.latency_seconds.p99


def _rss_bytes(run: RunResult) -> float | None:
    return run.rss_bytes.median


def _cpu_seconds_per_request(run: RunResult) -> float | None:
    return run.cpu_seconds_per_request


def _requests_per_second_per_core(run: RunResult) -> float | None:
    """By the cores that the server's processes used in the window, not by those it might have used."""
    used = cores_used(run)
    return run.requests_per_second / used if used else None


def cores_used(run: RunResult) -> float | None:
    """Of the server's host, by its process tree's CPU time over the window; None where it isn't known."""
    return None if run.server_cpu is None else run.server_cpu.core_share


METRICS = (
    Metric("requests_per_second", _requests_per_second, more_is_better=True),
    Metric("p99_seconds", _p99_seconds, resolution=0.001),
    Metric("rss_bytes", _rss_bytes),
    Metric("cpu_seconds_per_request", _cpu_seconds_per_request, is_gated=False),
    Metric(
        "requests_per_second_per_core", _requests_per_second_per_core, more_is_better=True, is_gated=False
    ),
)


class Change(Enum):
    """What may be said of B against A."""

    BETTER = "better"
    WORSE = "worse"
    WITHIN_NOISE = "within noise"
    NO_INTERVAL = "no interval"
    NOT_MEASURED = "not measured"


class Ratio(msgspec.Struct, frozen=True):
    """One figure in A and in B: medians over the valid runs, and B's over A's with its 95 % interval.

    None: no such figure; the interval is None with fewer than two runs on either side.
    """

    metric: Metric
    a: float | None
    b: float | None
    median: float | None
    low: float | None
    high: float | None
    runs_a: int
    runs_b: int

    @property
    def change(self) -> Change:
        """A difference only where the whole interval lies on one side of 1."""
        if self.median is None:
            return Change.NOT_MEASURED
        if self.low is None or self.high is None:
            return Change.NO_INTERVAL
        if self.low <= 1 <= self.high:
            return Change.WITHIN_NOISE
        return Change.BETTER if (self.low > 1) == self.metric.more_is_better else Change.WORSE

    def is_worse_by(self, share: float) -> bool:
        """Beyond the uncertainty: the whole interval is more than ``share`` worse than 1."""
        if self.low is None or self.high is None:
            return False
        return self.high < 1 - share if self.metric.more_is_better else self.low > 1 + share

    def may_be_worse_by(self, share: float) -> bool:
        """Some of the interval is, so that it can't be excluded."""
        if self.low is None or self.high is None:
            return False
        return self.low < 1 - share if self.metric.more_is_better else self.high > 1 + share


class CellComparison(msgspec.Struct, frozen=True):
    """One cell in both. ``ratios`` follow METRICS, and are empty where either is invalid.

    ``cell`` has no environment. ``a`` and ``b`` are the cell's summaries, with the reasons.
    """

    cell: Cell
    a: CellSummary
    b: CellSummary
    ratios: tuple[Ratio, ...]

    @property
    def is_valid(self) -> bool:
        return self.a.valid and self.b.valid


class Flip(msgspec.Struct, frozen=True):
    """Two servers whose order by requests/s isn't the same in A and B. Ratios are ``first`` over ``second``.

    ``first`` has the higher median in A. ``is_resolved``: both intervals exclude 1; else it may be noise.
    """

    contest: Cell
    first: str
    second: str
    ratio_a: Estimate
    ratio_b: Estimate

    @property
    def is_resolved(self) -> bool:
        above = self.ratio_a.low is not None and self.ratio_a.low > 1
        below = self.ratio_b.high is not None and self.ratio_b.high < 1
        return above and below


class Comparison(msgspec.Struct, frozen=True):
    """``flips`` are beyond the uncertainty of both; ``swaps`` have another order that may be noise."""

    a: Measured
    b: Measured
    cells: tuple[CellComparison, ...]
    flips: tuple[Flip, ...]
    swaps: tuple[Flip, ...]

    @property
    def valid_cells(self) -> tuple[CellComparison, ...]:
        return tuple(cell for cell in self.cells if cell.is_valid)

    @property
    def invalid_cells(self) -> tuple[CellComparison, ...]:
        return tuple(cell for cell in self.cells if not cell.is_valid)


class Gate(msgspec.Struct, frozen=True):
    """What --fail-over found; each item is a cell and a figure of it.

    ``worse``: by more than ``share`` beyond the uncertainty. ``possible``: not shown, yet their intervals
    reach that far. ``undecided``: no interval or no figure. ``invalid``: cells that say nothing.
    """

    share: float
    worse: tuple[tuple[Cell, Ratio], ...]
    possible: tuple[tuple[Cell, Ratio], ...]
    undecided: tuple[tuple[Cell, Ratio], ...]
    invalid: tuple[Cell, ...]


def compare(a: Measured, b: Measured) -> Comparison:
    """Every cell of the plan in A's order. Raises UnlikePlans, naming every difference."""
    check_alike(a.plan, b.plan)
    theirs = {without_environment(cell.cell): cell for cell in summarise(b.plan, b.runs).cells}
    pairs = [(cell, theirs[without_environment(cell.cell)]) for cell in summarise(a.plan, a.runs).cells]
    cells = tuple(_cell(ours, other, a.runs, b.runs) for ours, other in pairs)
    changed = _changed_orders(cells, a.runs, b.runs)
    return Comparison(
        a,
        b,
        cells,
        tuple(flip for flip in changed if flip.is_resolved),
        tuple(flip for flip in changed if not flip.is_resolved),
    )


def gate(comparison: Comparison, share: float) -> Gate:
    """Throughput, p99 and memory of every cell against ``share`` (0.05 for 5 %)."""
    judged = [
        (cell.cell, ratio)
        for cell in comparison.valid_cells
        for ratio in cell.ratios
        if ratio.metric.is_gated
    ]
    worse = tuple((cell, ratio) for cell, ratio in judged if ratio.is_worse_by(share))
    return Gate(
        share=share,
        worse=worse,
        possible=tuple(
            (cell, ratio)
            for cell, ratio in judged
            if ratio.may_be_worse_by(share) and not ratio.is_worse_by(share)
        ),
        undecided=tuple((cell, ratio) for cell, ratio in judged if ratio.low is None),
        invalid=tuple(cell.cell for cell in comparison.invalid_cells),
    )


def gate_error(found: Gate) -> GateFailed | GateUndecided | None:
    """GateFailed names the cells that are worse, GateUndecided those that could not be judged."""
    share = f"{found.share * 100:g} %"
    if found.worse:
        names = ", ".join(f"{cell.id} ({ratio.metric.name})" for cell, ratio in found.worse)
        return GateFailed(
            f"B is worse than A by more than {share}: {names}",
            remedy="Measure again if the hosts weren't quiet; else see the page for what differs",
        )
    titles = [cell.id for cell, _ in found.undecided] + [cell.id for cell in found.invalid]
    if titles:
        names = ", ".join(dict.fromkeys(titles))
        return GateUndecided(
            f"whether B is worse than A by more than {share} can't be told of {names}",
            remedy="Measure both with --profile review, whose repeats give intervals; mend what is invalid",
        )
    return None


def ratio_of(metric: Metric, a: Sequence[float], b: Sequence[float]) -> Ratio:
    """``b`` over ``a``, both the figures of single runs."""
    middle_a, middle_b = (median(values) if values else None for values in (a, b))
    known = Ratio(metric, middle_a, middle_b, None, None, None, len(a), len(b))
    if not middle_a or not middle_b or middle_a < 0 or middle_b < 0:
        return known
    middle = middle_b / middle_a
    known = msgspec.structs.replace(known, median=middle)
    if min(len(a), len(b)) < 2 or min(*a, *b) <= 0:
        return known
    centre, half = _welch([math.log(value) for value in a], [math.log(value) for value in b])
    # Equal figures of a coarse measure have no spread; what they can't resolve is no difference either.
    half = max(half, 2 * math.log1p(metric.resolution))
    return msgspec.structs.replace(
        known, low=min(math.exp(centre - half), middle), high=max(math.exp(centre + half), middle)
    )


def _welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The difference of the means, b less a, and half of its 95 % interval."""
    parts = [variance(values) / len(values) for values in (a, b)]
    centre, total = fmean(b) - fmean(a), sum(parts)
    if total == 0:
        return centre, 0.0
    shares = [(part / total) ** 2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True)]
    # Whole degrees of freedom, rounded down: the interval is wider for it, never narrower.
    degrees = max(1, math.floor(1 / sum(shares) + 1e-9))
    return centre, t_quantile(0.5 + CONFIDENCE / 2, degrees) * math.sqrt(total)


def _cell(
    a: CellSummary, b: CellSummary, runs_a: Sequence[RunResult], runs_b: Sequence[RunResult]
) -> CellComparison:
    ratios: tuple[Ratio, ...] = ()
    if a.valid and b.valid:
        ours, theirs = valid_runs(a, runs_a), valid_runs(b, runs_b)
        ratios = tuple(
            ratio_of(metric, _figures(metric, ours), _figures(metric, theirs)) for metric in METRICS
        )
    return CellComparison(without_environment(a.cell), a, b, ratios)


def valid_runs(cell: CellSummary, runs: Sequence[RunResult]) -> tuple[RunResult, ...]:
    """Those of ``runs`` that the cell's figures come from."""
    return tuple(run for run in runs if run.valid and run.cell == cell.cell)


def _figures(metric: Metric, runs: Sequence[RunResult]) -> list[float]:
    return [figure for run in runs if (figure := metric.of(run)) is not None]


def _changed_orders(
    cells: Sequence[CellComparison], runs_a: Sequence[RunResult], runs_b: Sequence[RunResult]
) -> list[Flip]:
    contests: dict[Cell, list[CellComparison]] = {}
    for cell in cells:
        if cell.is_valid and not cell.cell.is_open_loop:
            contests.setdefault(msgspec.structs.replace(cell.cell, server=""), []).append(cell)
    found = []
    for contest, members in contests.items():
        for one, other in combinations(members, 2):
            flip = _flip(contest, one, other, runs_a, runs_b)
            if flip is not None:
                found.append(flip)
    return found


def _flip(
    contest: Cell,
    one: CellComparison,
    other: CellComparison,
    runs_a: Sequence[RunResult],
    runs_b: Sequence[RunResult],
) -> Flip | None:
    in_a, in_b = _paired(one.a, other.a, runs_a), _paired(one.b, other.b, runs_b)
    if in_a.median is None or in_b.median is None or (in_a.median - 1) * (in_b.median - 1) >= 0:
        return None
    if in_a.median < 1:
        one, other = other, one
        in_a, in_b = _paired(one.a, other.a, runs_a), _paired(one.b, other.b, runs_b)
    return Flip(contest, one.cell.server, other.cell.server, in_a, in_b)


def _paired(one: CellSummary, other: CellSummary, runs: Sequence[RunResult]) -> Estimate:
    """The ratio of requests/s over the blocks in which both have a valid run."""
    ours, theirs = _by_block(one, runs), _by_block(other, runs)
    return estimate([ours[block] / theirs[block] for block in sorted(ours.keys() & theirs.keys())])


def _by_block(cell: CellSummary, runs: Sequence[RunResult]) -> Mapping[int, float]:
    return {
        run.block: run.requests_per_second for run in valid_runs(cell, runs) if run.requests_per_second > 0
    }
