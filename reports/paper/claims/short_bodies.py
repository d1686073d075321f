"""Claim 1: throughput with short bodies."""

from __future__ import annotations

from reports.paper.claim import Claim, PaperClaim
from reports.paper.ratios import ThroughputClaim, judge_throughput
from reports.results import Results

LEAD = ThroughputClaim(
    text="Short bodies: uvicorn beats its closest competitor by 36 %",
    paper="1.37",
    endpoint="shortbody",
    better="uvicorn",
    other="",
    ratio=1.36,
)


def _judge(results: Results) -> tuple[Claim, ...]:
    return (judge_throughput(LEAD, results),)


CLAIM = PaperClaim(1, _judge)
