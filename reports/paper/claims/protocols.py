"""Claim 5: which protocols the servers speak."""

from __future__ import annotations

from reports.paper.claim import Claim, PaperClaim, untested
from reports.results import Results

TEXT = "Protocols: HTTP/1.1 and WebSocket by all; HTTP/2 by daphne and hypercorn; HTTP/3 by hypercorn"


def _judge(results: Results) -> tuple[Claim, ...]:
    return (untested(TEXT, "stated", "no command of this version proves it"),)


CLAIM = PaperClaim(5, _judge)
