"""Claim 3: throughput close to real life, with users, a database and JSON."""

from __future__ import annotations

from reports.paper.claim import Claim, PaperClaim
from reports.paper.ratios import ThroughputClaim, judge_throughput
from reports.results import Results

STATEMENTS = (
    ThroughputClaim(
        text="Close to real life: uvicorn is about 20 % ahead of hypercorn",
        paper="1.23",
        endpoint="orders",
        better="uvicorn",
        other="hypercorn",
        ratio=1.2,
    ),
    ThroughputClaim(
        text="Close to real life: uvicorn is about 20 % ahead of daphne",
        paper="1.20",
        endpoint="orders",
        better="uvicorn",
        other="daphne",
        ratio=1.2,
    ),
    ThroughputClaim(
        text="Close to real life: daphne and hypercorn are level",
        paper="1.02",
        endpoint="orders",
        better="daphne",
        other="hypercorn",
        ratio=1.0,
    ),
)


def _judge(results: Results) -> tuple[Claim, ...]:
    return tuple(judge_throughput(claim, results) for claim in STATEMENTS)


CLAIM = PaperClaim(3, _judge)
