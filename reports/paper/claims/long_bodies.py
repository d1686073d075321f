"""Claim 2: hypercorn and daphne, with long bodies and with short ones."""

from __future__ import annotations

from reports.paper.claim import Claim, PaperClaim
from reports.paper.ratios import ThroughputClaim, judge_throughput
from reports.results import Results

TWICE = ThroughputClaim(
    text="Long bodies: hypercorn serves about twice what daphne serves",
    paper="1.95",
    endpoint="longbody",
    better="hypercorn",
    other="daphne",
    ratio=2.0,
)
LEVEL = ThroughputClaim(
    text="Short bodies: hypercorn and daphne are level",
    paper="1.01",
    endpoint="shortbody",
    better="hypercorn",
    other="daphne",
    ratio=1.0,
)


def _judge(results: Results) -> tuple[Claim, ...]:
    return tuple(judge_throughput(claim, results) for claim in (TWICE, LEVEL))


CLAIM = PaperClaim(2, _judge)
