"""The servers as they were started: settings as asked for, and as the running servers were seen to be."""

from __future__ import annotations

from reports.page.parts import Facts, Heading, Paragraph, Part, Preformatted
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.proof import how_table, proof_table
from reports.tables.servers import asked_table, reported_table, runs_by_server, server_views


def _parts(results: Results) -> tuple[Part, ...]:
    plan, runs = results.plan, results.runs
    parts: list[Part] = []
    for server in server_views(plan, runs):
        parts += [Heading(server.name), Paragraph(server.version), Preformatted(server.command)]
        if server.departures:
            parts += [Paragraph("Not honoured:"), Facts(server.departures)]
    parts.append(asked_table(plan, runs))
    by_server = runs_by_server(plan, runs)
    proof, how = proof_table(by_server), how_table(by_server)
    if proof is None or how is None:
        parts.append(Paragraph("Whether they ran so is not known: these results are older than the proof."))
    else:
        parts += [proof, how]
    return (*parts, reported_table(plan, runs))


SECTION = SectionSpec("servers", "Servers and their settings", 90, _parts, navigation="Servers", is_long=True)
