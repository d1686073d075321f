"""Latency in closed loop."""

from __future__ import annotations

from reports.charts.latency import latency_figure
from reports.page.parts import Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.latency import latency_table
from reports.words.over_runs import TAILS


def _parts(results: Results) -> tuple[Part, ...]:
    connections = results.plan.profile.connections
    return (
        Paragraph(f"Window only, 0.1 % resolution, closed loop with {connections} connections. {TAILS}"),
        latency_table(results.contests),
        latency_figure(results.contests, results.plan),
    )


SECTION = SectionSpec("latency", "Latency", 60, _parts)
