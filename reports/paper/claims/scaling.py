"""Claim 6: how the servers use more cores than one."""

from __future__ import annotations

from reports.paper.claim import Claim, PaperClaim, untested
from reports.results import Results

TEXT = "Scaling: uvicorn and hypercorn near-linear in cores; daphne needs a load balancer"


def _judge(results: Results) -> tuple[Claim, ...]:
    return (untested(TEXT, "stated", "no command of this version proves it"),)


CLAIM = PaperClaim(6, _judge)
