"""What contests are called."""

from __future__ import annotations

from collections.abc import Sequence

from bench.verdicts.contest import Contest
from reports.words.numbers import counted
from reports.words.served import served_words

Labelled = Sequence[tuple[str, Contest]]
"""Contests with their labels, in the report's order."""


def label_of(contest: Contest, all_contests: Sequence[Contest]) -> str:
    """The endpoint, with how it is reached, workers and connections where the benchmark has several."""
    served = served_words(contest.served, [other.served for other in all_contests])
    parts = [f"{contest.endpoint} {served}".rstrip()]
    if len({other.workers for other in all_contests}) > 1:
        parts.append(counted(contest.workers, "worker"))
    if len({other.connections for other in all_contests}) > 1:
        parts.append(counted(contest.connections, "connection"))
    return ", ".join(parts)
