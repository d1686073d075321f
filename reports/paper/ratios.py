"""Claims of one server's figure over another's, judged by the interval that was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.results.pairs import PairRatio, paired_ratio
from bench.results.run import RunResult
from reports.paper.claim import (
    CONFIRMED,
    INCONCLUSIVE,
    REFUTED,
    UNTESTED,
    Claim,
    cells_compared,
    no_valid_run,
    untested,
)
from reports.paper.figures import SERVERS
from reports.results import Results
from reports.words.numbers import MISSING, listed, times

TOLERANCE = 1.1
"""A claimed ratio c is met between c/1.1 and 1.1 c."""


@dataclass(frozen=True)
class ThroughputClaim:
    """``better`` serves ``ratio`` times the requests/s of ``other`` on ``endpoint``; 1: they are level."""

    text: str
    paper: str  # the ratio of the paper's own figures
    endpoint: str
    better: str  # a package
    other: str  # a package, or "" for the fastest of the other two
    ratio: float


def judge_throughput(claim: ThroughputClaim, results: Results) -> Claim:
    """Confirmed where the whole interval meets the ratio within 10 %, refuted where none of it does."""
    cells = cells_compared(results)
    others = [claim.other] if claim.other else [name for name in SERVERS if name != claim.better]
    missing = [name for name in (claim.better, *others) if (name, claim.endpoint) not in cells]
    if missing:
        return no_valid_run(claim.text, claim.paper, missing, claim.endpoint)
    better, rivals = cells[claim.better, claim.endpoint], [cells[name, claim.endpoint] for name in others]
    idle = [cell.server for cell in (better, *rivals) if not cell.is_ranked]
    if idle:
        why = f"nothing held {listed(idle)} back on {claim.endpoint}: no maximum"
        return untested(claim.text, claim.paper, why)
    ratios = [(paired_ratio(better, rival, results.runs), rival) for rival in rivals]
    ratio, rival = min(ratios, key=lambda found: found[0].mean or math.inf)
    verdict, note = against(ratio, claim.ratio / TOLERANCE, claim.ratio * TOLERANCE)
    if verdict == REFUTED:
        note = _how_refuted(claim, ratio)
    here = f"{shown(ratio)} over {rival.server}" if not claim.other else shown(ratio)
    return Claim(claim.text, claim.paper, here, verdict, note)


def against(ratio: PairRatio, least: float, most: float) -> tuple[str, str]:
    """The verdict on a ratio that is claimed to lie from ``least`` to ``most``, with a note."""
    if ratio.mean is None:
        return UNTESTED, "no block in which both are valid"
    if ratio.low is None or ratio.high is None:
        return INCONCLUSIVE, "one run each, no interval"
    if ratio.high < least or ratio.low > most:
        return REFUTED, ""
    if ratio.low >= least and ratio.high <= most:
        return CONFIRMED, ""
    return INCONCLUSIVE, "the interval is partly within 10 % of the claim"


def shown(ratio: PairRatio) -> str:
    """With its interval, where it has one."""
    if ratio.mean is None:
        return MISSING
    if ratio.low is None or ratio.high is None:
        return times(ratio.mean)
    return f"{times(ratio.mean)} ({times(ratio.low)} to {times(ratio.high)})"


def rss(run: RunResult) -> float | None:
    """In bytes: the median in the window."""
    return run.rss_bytes.median


def _how_refuted(claim: ThroughputClaim, ratio: PairRatio) -> str:
    """Tells a lead of another size than claimed from no lead at all."""
    if claim.ratio == 1.0:
        return f"{claim.better} is ahead" if (ratio.low or 0.0) > 1 else f"{claim.other} is ahead"
    if (ratio.low or 0.0) > claim.ratio:
        return "ahead by more than claimed"
    return "ahead by less than claimed" if (ratio.low or 0.0) > 1 else "not ahead"
