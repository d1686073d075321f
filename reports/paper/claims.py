"""The paper's claims, each held against what was measured here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.plan.plan import Plan
from bench.results.pairs import PairRatio, paired_ratio, throughput
from bench.results.run import RunResult
from bench.results.summary import CellSummary, Summary
from reports.paper.figures import ENDPOINTS, SERVERS, VERSIONS
from reports.words.numbers import MISSING, listed, times

TOLERANCE = 1.1
"""A claimed ratio c is met between c/1.1 and 1.1 c."""

CONFIRMED, REFUTED, INCONCLUSIVE, UNTESTED = "confirmed", "refuted", "inconclusive", "untested"
Measure = Callable[[RunResult], float | None]


@dataclass(frozen=True)
class Claim:
    """``verdict`` is confirmed, refuted, inconclusive or untested; ``note`` says why or how far."""

    text: str
    paper: str
    here: str
    verdict: str
    note: str = ""


@dataclass(frozen=True)
class _RatioClaim:
    text: str
    paper: str
    endpoint: str
    better: str
    other: str  # a package, or "" for the fastest of the other two
    ratio: float


_RATIOS = (
    _RatioClaim(
        "Short bodies: uvicorn beats its closest competitor by 36 %", "1.37", "shortbody", "uvicorn", "", 1.36
    ),
    _RatioClaim(
        "Long bodies: hypercorn serves about twice what daphne serves",
        "1.95",
        "longbody",
        "hypercorn",
        "daphne",
        2.0,
    ),
    _RatioClaim(
        "Short bodies: hypercorn and daphne are level", "1.01", "shortbody", "hypercorn", "daphne", 1.0
    ),
    _RatioClaim(
        "Close to real life: uvicorn is about 20 % ahead of hypercorn",
        "1.23",
        "orders",
        "uvicorn",
        "hypercorn",
        1.2,
    ),
    _RatioClaim(
        "Close to real life: uvicorn is about 20 % ahead of daphne",
        "1.20",
        "orders",
        "uvicorn",
        "daphne",
        1.2,
    ),
    _RatioClaim(
        "Close to real life: daphne and hypercorn are level", "1.02", "orders", "daphne", "hypercorn", 1.0
    ),
)

# No command proves these yet, and what is copied from documentation is no proof.
_UNPROVEN = (
    "Protocols: HTTP/1.1 and WebSocket by all; HTTP/2 by daphne and hypercorn; HTTP/3 by hypercorn",
    "Scaling: uvicorn and hypercorn near-linear in cores; daphne needs a load balancer",
    "Licences: uvicorn and daphne BSD-3-Clause, hypercorn MIT",
)


def judge_claims(plan: Plan, summary: Summary, runs: Sequence[RunResult]) -> tuple[Claim, ...]:
    """Every claim of the paper in the paper's order.

    A ratio claim is confirmed where the whole interval meets it within 10 %, refuted where none of it does.
    """
    cells = _cells(plan, summary)
    return (
        *(_judge_ratio(claim, cells, runs) for claim in _RATIOS),
        _least_memory(cells, runs),
        _memory_and_body_size(cells, runs),
        *(Claim(text, "stated", "–", UNTESTED, "no command of this version proves it") for text in _UNPROVEN),
        _hypercorn_loops(plan, summary, runs),
    )


def servers_compared(plan: Plan, summary: Summary) -> dict[str, str]:
    """The configuration that is compared with each of the paper's servers.

    Of several configurations of one package, it is the one with the paper's version, else the one with the
    package's name, else the first of the plan.
    """
    versions = {cell.server: cell.server_version for cell in summary.cells}
    chosen: dict[str, str] = {}
    for package in SERVERS:
        names = [server.name for server in plan.servers if server.package == package]
        exact = [name for name in names if versions.get(name) == VERSIONS[package]]
        named = [name for name in names if name == package]
        for name in (*exact, *named, *names):
            chosen.setdefault(package, name)
    return chosen


def _cells(plan: Plan, summary: Summary) -> dict[tuple[str, str], CellSummary]:
    """(package, endpoint) -> the cell with the fewest workers; valid cells only."""
    chosen = {name: package for package, name in servers_compared(plan, summary).items()}
    found: dict[tuple[str, str], CellSummary] = {}
    for cell in sorted(summary.closed_loop_cells, key=lambda cell: (cell.workers, cell.connections)):
        if cell.server in chosen and cell.valid:
            found.setdefault((chosen[cell.server], cell.endpoint), cell)
    return found


def _judge_ratio(
    claim: _RatioClaim, cells: Mapping[tuple[str, str], CellSummary], runs: Sequence[RunResult]
) -> Claim:
    others = [claim.other] if claim.other else [name for name in SERVERS if name != claim.better]
    missing = [name for name in (claim.better, *others) if (name, claim.endpoint) not in cells]
    if missing:
        return _untested(claim.text, claim.paper, missing, claim.endpoint)
    better, rivals = cells[claim.better, claim.endpoint], [cells[name, claim.endpoint] for name in others]
    idle = [cell.server for cell in (better, *rivals) if not cell.is_ranked]
    if idle:
        note = f"nothing held {listed(idle)} back on {claim.endpoint}: no maximum"
        return Claim(claim.text, claim.paper, MISSING, UNTESTED, note)
    ratios = [(paired_ratio(better, rival, runs), rival) for rival in rivals]
    ratio, rival = min(ratios, key=lambda found: found[0].mean or math.inf)
    verdict, note = _against(ratio, claim.ratio / TOLERANCE, claim.ratio * TOLERANCE)
    if verdict == REFUTED:
        note = _how_refuted(claim, ratio)
    here = f"{_shown(ratio)} over {rival.server}" if not claim.other else _shown(ratio)
    return Claim(claim.text, claim.paper, here, verdict, note)


def _against(ratio: PairRatio, least: float, most: float) -> tuple[str, str]:
    if ratio.mean is None:
        return UNTESTED, "no block in which both are valid"
    if ratio.low is None or ratio.high is None:
        return INCONCLUSIVE, "one run each, no interval"
    if ratio.high < least or ratio.low > most:
        return REFUTED, ""
    if ratio.low >= least and ratio.high <= most:
        return CONFIRMED, ""
    return INCONCLUSIVE, "the interval is partly within 10 % of the claim"


def _how_refuted(claim: _RatioClaim, ratio: PairRatio) -> str:
    """Tells a lead of another size than claimed from no lead at all."""
    if claim.ratio == 1.0:
        return f"{claim.better} is ahead" if (ratio.low or 0.0) > 1 else f"{claim.other} is ahead"
    if (ratio.low or 0.0) > claim.ratio:
        return "ahead by more than claimed"
    return "ahead by less than claimed" if (ratio.low or 0.0) > 1 else "not ahead"


def _least_memory(cells: Mapping[tuple[str, str], CellSummary], runs: Sequence[RunResult]) -> Claim:
    text, paper = "uvicorn uses the least memory in every scenario", "0.70 to 0.73 of the next"
    shown, verdicts = [], []
    for endpoint in ENDPOINTS:
        missing = [name for name in SERVERS if (name, endpoint) not in cells]
        if missing:
            return _untested(text, paper, missing, endpoint)
        rivals = [cells[name, endpoint] for name in SERVERS[1:]]
        rival = min(rivals, key=lambda cell: cell.rss_bytes.median or 0)
        ratio = paired_ratio(cells["uvicorn", endpoint], rival, runs, _rss)
        shown.append(f"{endpoint} {_shown(ratio)} of {rival.server}")
        verdicts.append(_against(ratio, 0.0, 1.0)[0])
    return Claim(text, paper, "; ".join(shown), _all_of(verdicts))


def _memory_and_body_size(cells: Mapping[tuple[str, str], CellSummary], runs: Sequence[RunResult]) -> Claim:
    text, paper = "Body size hardly changes memory (longbody over shortbody)", "0.87 to 1.03"
    shown, verdicts = [], []
    for name in SERVERS:
        missing = [endpoint for endpoint in ("longbody", "shortbody") if (name, endpoint) not in cells]
        if missing:
            return _untested(text, paper, [name], missing[0])
        ratio = paired_ratio(cells[name, "longbody"], cells[name, "shortbody"], runs, _rss)
        shown.append(f"{name} {_shown(ratio)}")
        verdicts.append(_against(ratio, 1 / TOLERANCE, TOLERANCE)[0])
    return Claim(text, paper, "; ".join(shown), _all_of(verdicts))


def _hypercorn_loops(plan: Plan, summary: Summary, runs: Sequence[RunResult]) -> Claim:
    text, paper = "Hypercorn’s asyncio and uvloop workers perform alike (trio: untested here)", "alike"
    loops = {server.settings.loop: server.name for server in plan.servers if server.package == "hypercorn"}
    pairs = []
    for endpoint in ENDPOINTS:
        cells = [cell for cell in summary.closed_loop_cells if cell.endpoint == endpoint and cell.is_ranked]
        found = {cell.server: cell for cell in cells}
        asyncio, uvloop = found.get(loops.get("asyncio", "")), found.get(loops.get("uvloop", ""))
        if asyncio is not None and uvloop is not None and asyncio.workers == uvloop.workers:
            pairs.append((endpoint, paired_ratio(uvloop, asyncio, runs, throughput)))
    if not pairs:
        return Claim(text, paper, "–", UNTESTED, "needs hypercorn with both loops in one benchmark")
    here = "; ".join(f"{endpoint} {_shown(ratio)}" for endpoint, ratio in pairs)
    verdicts = [_against(ratio, 1 / TOLERANCE, TOLERANCE)[0] for _, ratio in pairs]
    return Claim(text, paper, here, _all_of(verdicts))


def _all_of(verdicts: Sequence[str]) -> str:
    """Refuted if one of them is; confirmed only if all are."""
    for verdict in (REFUTED, UNTESTED, INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return CONFIRMED


def _untested(text: str, paper: str, missing: Sequence[str], endpoint: str) -> Claim:
    return Claim(text, paper, "–", UNTESTED, f"no valid run of {', '.join(missing)} on {endpoint}")


def _rss(run: RunResult) -> float | None:
    return run.rss_bytes.median


def _shown(ratio: PairRatio) -> str:
    if ratio.mean is None:
        return "–"
    if ratio.low is None or ratio.high is None:
        return times(ratio.mean)
    return f"{times(ratio.mean)} ({times(ratio.low)} to {times(ratio.high)})"
