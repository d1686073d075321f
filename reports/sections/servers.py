"""The servers as they were started, with the settings that they reported."""

from __future__ import annotations

from reports.page.parts import Facts, Heading, Paragraph, Part, Preformatted
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.servers import asked_table, reported_table, server_views


def _parts(results: Results) -> tuple[Part, ...]:
    plan, runs = results.plan, results.runs
    parts: list[Part] = []
    for server in server_views(plan, runs):
        parts += [Heading(server.name), Paragraph(server.version), Preformatted(server.command)]
        if server.departures:
            parts += [Paragraph("Not honoured:"), Facts(server.departures)]
    return (*parts, asked_table(plan, runs), reported_table(plan, runs))


SECTION = SectionSpec("servers", "Servers and their settings", 90, _parts, navigation="Servers", is_long=True)
