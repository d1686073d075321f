"""The paper's tables and claims beside ours."""

from __future__ import annotations

from collections.abc import Sequence

from bench.plan.plan import Plan
from bench.results.summary import Summary
from bench.served import USUALLY_SERVED
from reports.paper import figures as paper
from reports.paper.claim import Claim
from reports.tables.table import Table, TableRow, numbers, tone, words
from reports.words.numbers import MISSING, megabytes, rate


def paper_table(endpoint: str, plan: Plan, summary: Summary) -> Table:
    """One of the paper's three tables: our cells in the plan's order, each beside the paper's figures."""
    rows, seen = [], set()
    packages = {server.name: server.package for server in plan.servers}
    several = len({cell.workers for cell in summary.cells}) > 1
    for cell in summary.closed_loop_cells:
        if cell.endpoint != endpoint or cell.served != USUALLY_SERVED:
            continue
        package = packages[cell.server]
        seen.add(package)
        name = f"{cell.server}, {cell.workers} workers" if several else cell.server
        ours = (rate(cell.requests_per_second.median), megabytes(cell.rss_bytes.median))
        if not cell.valid:
            ours = ("refused", MISSING)
        rows.append(
            TableRow(
                (name, cell.server_version or MISSING, *ours, *_paper_cells(endpoint, package)), tone(cell)
            )
        )
    for package in paper.SERVERS:
        if package not in seen:
            row = (package, MISSING, "not measured", MISSING, *_paper_cells(endpoint, package))
            rows.append(TableRow(row, "muted"))
    columns = (
        *words("Server", "Version"),
        *numbers("Requests/s", "RSS, MB"),
        *words("Paper’s version"),
        *numbers("Paper’s requests/s", "Paper’s RSS, MB"),
    )
    return Table(paper.TITLES[endpoint], columns, tuple(rows), style="paper")


def claims_table(claims: Sequence[Claim]) -> Table:
    rows = tuple(
        TableRow(
            (
                claim.text,
                claim.paper,
                claim.here,
                f"{claim.verdict}: {claim.note}" if claim.note else claim.verdict,
            ),
            {"confirmed": "settled", "refuted": "settled", "untested": "muted"}.get(claim.verdict, ""),
        )
        for claim in claims
    )
    columns = words("Claim", "Paper", "Here (95 % interval)", "Verdict")
    return Table("The paper’s claims", columns, rows, style="claims")


def _paper_cells(endpoint: str, package: str) -> tuple[str, str, str]:
    figures = paper.FIGURES.get((endpoint, package))
    if figures is None:
        return "not in the paper", MISSING, MISSING
    version = paper.VERSIONS[package]
    return version, rate(figures.requests_per_second), f"{figures.rss_megabytes:.1f}"
