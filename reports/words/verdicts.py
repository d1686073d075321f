"""What contests are called."""

from __future__ import annotations

from collections.abc import Sequence

from bench.verdicts.contest import Contest
from reports.words.numbers import counted

Labelled = Sequence[tuple[str, Contest]]
"""Contests with their labels, in the report's order."""


def label_of(contest: Contest, all_contests: Sequence[Contest]) -> str:
    """The endpoint, with workers and connections where the benchmark has several of them."""
    parts = [contest.endpoint]
    if len({other.workers for other in all_contests}) > 1:
        parts.append(counted(contest.workers, "worker"))
    if len({other.connections for other in all_contests}) > 1:
        parts.append(counted(contest.connections, "connection"))
    return ", ".join(parts)
