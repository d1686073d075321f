"""How servers scale over worker processes, and over processes behind a load balancer."""

from __future__ import annotations

from bench.results.scaling import scaling_curves
from reports.charts.scaling import scaling_figure
from reports.page.parts import Paragraph, Part, points
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.scaling import balancer_table, scaling_table
from reports.words.scaling import balancer_sentences, curve_sentence, too_few_cores


def _parts(results: Results) -> tuple[Part, ...]:
    curves = scaling_curves(results.summary, results.runs)
    cells = results.summary.closed_loop_cells
    of_balancer = tuple(balancer_sentences(cells, results.runs))
    if not curves and not of_balancer:
        return ()
    parts: list[Part] = []
    if curves:
        parts += [
            Paragraph(
                "What a server’s further workers bring: its throughput with N workers over N times that of "
                "one, over the blocks that have both. 100 % is linear."
            ),
            points([curve_sentence(curve) for curve in curves], "plain"),
            *(Paragraph(sentence) for sentence in too_few_cores(curves, results.runs)),
        ]
        figure = scaling_figure(curves)
        endpoints = dict.fromkeys(curve.first.endpoint for curve in curves)
        parts += (
            [figure]
            if figure is not None
            else [
                scaling_table(endpoint, [one for one in curves if one.first.endpoint == endpoint])
                for endpoint in endpoints
            ]
        )
    parts += [Paragraph(sentence) for sentence in of_balancer]
    table = balancer_table(cells)
    return tuple(parts) if table is None else (*parts, table)


SECTION = SectionSpec("scaling", "Scaling", 57, _parts)
