"""How fast the machine itself was over the benchmark's course."""

from __future__ import annotations

from bench.results.course import machine_moved
from reports.charts.speed import machine_speed_figure
from reports.page.parts import Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.words.numbers import percent


def _parts(results: Results) -> tuple[Part, ...]:
    figure, moved = machine_speed_figure(results.runs), machine_moved(results.runs)
    if figure is None or moved is None:
        return ()
    return (
        Paragraph(
            "The same fixed work is done on the server’s cores before and after every load, while the "
            f"server idles. In the slowest run it took {percent(moved)} longer than in the fastest. An "
            "idle server does not affect it."
        ),
        figure,
    )


SECTION = SectionSpec("machine", "The machine’s own speed", 22, _parts)
