"""How many answers' bodies were looked at, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.clients import client_of
from bench.results.run import RunResult
from bench.results.upper_share import upper_share
from reports.words.numbers import listed, percent


def bodies_checked(runs: Sequence[RunResult]) -> Iterator[tuple[str, str]]:
    """(endpoint, what was looked at) for each endpoint of which it is known."""
    for endpoint in dict.fromkeys(run.cell.endpoint for run in runs):
        of_endpoint = [run for run in runs if run.cell.endpoint == endpoint and run.answers is not None]
        looked = [run for run in of_endpoint if client_of(run.cell.client).has_engine]
        others = _not_looked_at([run for run in of_endpoint if run not in looked])
        known = [run.answers for run in looked if run.answers is not None]
        right_size = sum(one.right_size for one in known)
        checked, wrong = sum(one.bodies_checked for one in known), sum(one.bodies_wrong for one in known)
        if not checked:
            continue
        if checked >= right_size:
            yield endpoint, f"all {checked:,} bodies compared byte for byte, {wrong or 'none'} wrong{others}"
            continue
        sampled = f"{checked:,} of {right_size:,} bodies hashed in full (the length of each compared)"
        if wrong:
            yield endpoint, f"{sampled}, {wrong:,} wrong{others}"
        else:
            most = percent(upper_share(0, checked))
            yield endpoint, f"{sampled}, none wrong: with 95 % certainty fewer than {most} of all are{others}"


def _not_looked_at(runs: Sequence[RunResult]) -> str:
    """By clients that compare no body."""
    answered = sum(run.answers.right_size for run in runs if run.answers is not None)
    if not answered:
        return ""
    titles = listed([client_of(name).title for name in dict.fromkeys(run.cell.client for run in runs)])
    return f"; of the {answered:,} answers to {titles} no body was"
