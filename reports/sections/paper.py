"""The paper's claims and tables beside what was measured here."""

from __future__ import annotations

from bench.plan.plan import Plan
from bench.results.summary import Summary
from reports.page.parts import Paragraph, Part
from reports.page.section import SectionSpec
from reports.paper import figures as paper
from reports.paper.claim import servers_compared
from reports.paper.claims import judge_claims
from reports.paper.method import is_of_method
from reports.paper.tables import claims_table, paper_table
from reports.results import Results
from reports.words.numbers import listed


def _parts(results: Results) -> tuple[Part, ...]:
    plan, summary = results.plan, results.summary
    compared = (
        Paragraph(
            f"{paper.CITATION}. Its figures are of {paper.MACHINE}. Absolute figures of other machines can’t "
            "be compared with those here. Ratios can be held beside each other, but they change with the "
            "machine too, and so may the order of servers."
        ),
        Paragraph(
            f"Compared: {_servers(plan, summary)}. A claimed ratio is confirmed where the whole interval "
            "meets it within 10 %, refuted where none of it does, inconclusive in between."
        ),
        claims_table(judge_claims(results)),
    )
    if is_of_method(summary):
        return compared
    planned = {endpoint.name for endpoint in plan.endpoints}
    tables = tuple(paper_table(name, plan, summary) for name in paper.ENDPOINTS if name in planned)
    return (*compared, *tables, Paragraph(paper.RSS_NOTE, style="note"))


def _servers(plan: Plan, summary: Summary) -> str:
    versions = {cell.server: cell.server_version for cell in summary.cells}
    parts = [
        f"{name} {versions.get(name, '')}".strip() + f" (the paper: {paper.VERSIONS[package]})"
        for package, name in servers_compared(plan, summary).items()
    ]
    return listed(parts) if parts else "none of the paper’s servers"


SECTION = SectionSpec("paper", "Against the paper", 30, _parts)
