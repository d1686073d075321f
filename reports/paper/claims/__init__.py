"""The paper's claims, each held against what was measured here: one file each.

A file has a constant ``CLAIM``: the claim's number in the paper, and what judges each of its statements from
the results, which are all that it is given.
"""

from __future__ import annotations

from reports.paper.claim import Claim, PaperClaim
from reports.registry import found_in
from reports.results import Results

CLAIMS = tuple(sorted(found_in(__name__, "CLAIM", PaperClaim), key=lambda claim: claim.number))
"""All of them, in the paper's order."""


def judge_claims(results: Results) -> tuple[Claim, ...]:
    """Every statement of every claim in the paper's order."""
    return tuple(statement for claim in CLAIMS for statement in claim.judge(results))
