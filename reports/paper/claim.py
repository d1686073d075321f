"""What a claim of the paper is, and what the files of reports/paper/claims/ judge it by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.plan.plan import Plan
from bench.results.summary import CellSummary, Summary
from bench.served import USUALLY_SERVED
from reports.paper.figures import SERVERS, VERSIONS
from reports.results import Results
from reports.words.numbers import MISSING

CONFIRMED, REFUTED, INCONCLUSIVE, UNTESTED = "confirmed", "refuted", "inconclusive", "untested"
Cells = Mapping[tuple[str, str], CellSummary]
"""(package, endpoint) -> the cell that stands for that server of the paper there."""


@dataclass(frozen=True)
class Claim:
    """``verdict`` is confirmed, refuted, inconclusive or untested; ``note`` says why or how far."""

    text: str
    paper: str
    here: str
    verdict: str
    note: str = ""


@dataclass(frozen=True)
class PaperClaim:
    """One of the paper's claims, by its number there: each statement of it is a row of the report."""

    number: int
    judge: Callable[[Results], tuple[Claim, ...]]


def untested(text: str, paper: str, why: str) -> Claim:
    """A claim that these results say nothing about."""
    return Claim(text, paper, MISSING, UNTESTED, why)


def no_valid_run(text: str, paper: str, missing: Sequence[str], endpoint: str) -> Claim:
    """Likewise, for want of the servers ``missing`` on ``endpoint``."""
    return untested(text, paper, f"no valid run of {', '.join(missing)} on {endpoint}")


def all_of(verdicts: Sequence[str]) -> str:
    """The verdict of a claim in several parts: refuted if one of them is; confirmed only if all are."""
    for verdict in (REFUTED, UNTESTED, INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return CONFIRMED


def servers_compared(plan: Plan, summary: Summary) -> dict[str, str]:
    """{package: entry}: the configuration that is compared with each of the paper's servers.

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


def cells_compared(results: Results) -> Cells:
    """Those with the fewest workers, reached as the paper reached them; valid cells only."""
    chosen = {name: package for package, name in servers_compared(results.plan, results.summary).items()}
    found: dict[tuple[str, str], CellSummary] = {}
    for cell in sorted(results.summary.closed_loop_cells, key=lambda cell: (cell.workers, cell.connections)):
        if cell.server in chosen and cell.valid and cell.served == USUALLY_SERVED:
            found.setdefault((chosen[cell.server], cell.endpoint), cell)
    return found
