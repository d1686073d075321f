"""How many answers' bodies were looked at, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.results.run import RunResult
from bench.results.upper_share import upper_share
from reports.words.numbers import percent


def bodies_checked(runs: Sequence[RunResult]) -> Iterator[tuple[str, str]]:
    """(endpoint, what was looked at) for each endpoint of which it is known."""
    for endpoint in dict.fromkeys(run.cell.endpoint for run in runs):
        known = [run.answers for run in runs if run.cell.endpoint == endpoint and run.answers is not None]
        right_size = sum(one.right_size for one in known)
        checked, wrong = sum(one.bodies_checked for one in known), sum(one.bodies_wrong for one in known)
        if not checked:
            continue
        if checked >= right_size:
            yield endpoint, f"all {checked:,} bodies compared byte for byte, {wrong or 'none'} wrong"
            continue
        sampled = f"{checked:,} of {right_size:,} bodies hashed in full (the length of each compared)"
        if wrong:
            yield endpoint, f"{sampled}, {wrong:,} wrong"
        else:
            most = percent(upper_share(0, checked))
            yield endpoint, f"{sampled}, none wrong: with 95 % certainty fewer than {most} of all are"
