"""Claim 7: the servers' licences."""

from __future__ import annotations

from reports.paper.claim import Claim, PaperClaim, untested
from reports.results import Results

TEXT = "Licences: uvicorn and daphne BSD-3-Clause, hypercorn MIT"


def _judge(results: Results) -> tuple[Claim, ...]:
    return (untested(TEXT, "stated", "no command of this version proves it"),)


CLAIM = PaperClaim(7, _judge)
