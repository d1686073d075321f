"""Requests a second: every run, and how far ahead."""

from __future__ import annotations

from reports.charts.ratios import ratio_figure
from reports.charts.throughput import throughput_figure
from reports.page.parts import Part
from reports.page.section import SectionSpec
from reports.results import Results


def _parts(results: Results) -> tuple[Part, ...]:
    ratios = ratio_figure(results.contests)
    throughput = throughput_figure(results.contests, results.runs)
    return (throughput,) if ratios is None else (throughput, ratios)


SECTION = SectionSpec("speed", "Requests a second", 50, _parts)
