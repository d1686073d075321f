"""Every run with its counts and remarks."""

from __future__ import annotations

from reports.page.parts import Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.runs import runs_table


def _parts(results: Results) -> tuple[Part, ...]:
    return (runs_table(results.runs),)


SECTION = SectionSpec("runs", "All runs", 120, _parts, is_long=True)
