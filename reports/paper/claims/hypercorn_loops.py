"""Claim 8: hypercorn's worker classes."""

from __future__ import annotations

from collections.abc import Iterator

from bench.results.pairs import PairRatio, paired_ratio, throughput
from bench.results.summary import CellSummary
from bench.served import USUALLY_SERVED
from reports.paper.claim import CONFIRMED, REFUTED, Claim, PaperClaim, all_of, untested
from reports.paper.figures import ENDPOINTS
from reports.paper.ratios import TOLERANCE, against, shown
from reports.results import Results

ALIKE = "Hypercorn’s asyncio and uvloop workers perform alike"
MUCH_WORSE = "Hypercorn’s trio workers perform much worse (here: below 0.75 of asyncio’s)"
MUCH = 0.75
"""The paper gives no figures, and doesn’t call its leads of 20 and 36 % much: the latter is 0.74."""


def _judge(results: Results) -> tuple[Claim, ...]:
    return (_alike(results), _much_worse(results))


def _alike(results: Results) -> Claim:
    pairs = tuple(_over_asyncio(results, "uvloop"))
    if not pairs:
        return untested(ALIKE, "alike", _needs("hypercorn-uvloop"))
    verdicts = [against(ratio, 1 / TOLERANCE, TOLERANCE)[0] for _, ratio in pairs]
    return Claim(ALIKE, "alike", _here(pairs), all_of(verdicts))


def _much_worse(results: Results) -> Claim:
    pairs = tuple(_over_asyncio(results, "trio"))
    if not pairs:
        return untested(MUCH_WORSE, "much worse", _needs("hypercorn-trio"))
    verdict = all_of([against(ratio, 0.0, MUCH)[0] for _, ratio in pairs])
    note = ""
    if verdict == REFUTED:
        is_worse = all_of([against(ratio, 0.0, 1.0)[0] for _, ratio in pairs]) == CONFIRMED
        note = "worse by less" if is_worse else "not on every endpoint"
    return Claim(MUCH_WORSE, "much worse", _here(pairs), verdict, note)


def _over_asyncio(results: Results, loop: str) -> Iterator[tuple[str, PairRatio]]:
    """(endpoint, throughput with ``loop`` over that with asyncio), of one version of hypercorn."""
    for endpoint in ENDPOINTS:
        ours, theirs = _cell(results, loop, endpoint), _cell(results, "asyncio", endpoint)
        if ours is None or theirs is None or ours.workers != theirs.workers:
            continue
        if ours.server_version == theirs.server_version:
            yield endpoint, paired_ratio(ours, theirs, results.runs, throughput)


def _cell(results: Results, loop: str, endpoint: str) -> CellSummary | None:
    """Ranked cells only; with the fewest workers, of today's entry before those of the paper's version."""
    servers = [
        one for one in results.plan.servers if one.package == "hypercorn" and one.settings.loop == loop
    ]
    order = {one.name: place for place, one in enumerate(sorted(servers, key=lambda one: one.version_set))}
    found = [
        cell
        for cell in results.summary.closed_loop_cells
        if cell.endpoint == endpoint and cell.served == USUALLY_SERVED
        if cell.is_ranked and cell.server in order
    ]
    return min(found, key=lambda cell: (order[cell.server], cell.workers), default=None)


def _needs(entry: str) -> str:
    return f"needs hypercorn and {entry} in one benchmark, each at its limit"


def _here(pairs: tuple[tuple[str, PairRatio], ...]) -> str:
    return "; ".join(f"{endpoint} {shown(ratio)}" for endpoint, ratio in pairs)


CLAIM = PaperClaim(8, _judge)
