"""Memory: as a table, its peaks, and over time."""

from __future__ import annotations

from reports.charts.memory_over_time import memory_over_time_figure
from reports.charts.memory_peaks import memory_peaks_figure
from reports.page.parts import Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.memory import memory_table
from reports.words.memory import memory_claims


def _parts(results: Results) -> tuple[Part, ...]:
    over_time = memory_over_time_figure(results.plan, results.runs)
    parts: tuple[Part, ...] = (
        *(Paragraph(claim) for claim in memory_claims(results.contests)),
        memory_table(results.contests, results.environment),
        memory_peaks_figure(results.contests),
    )
    return parts if over_time is None else (*parts, over_time)


SECTION = SectionSpec("memory", "Memory", 80, _parts)
