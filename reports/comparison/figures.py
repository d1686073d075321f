"""B over A of one figure, drawn for every cell."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.comparison import CellComparison
from bench.results.ratio import METRICS, Metric
from reports.charts.panels import DotRow, Figure, Mark, dot_panel, line_key, mark_key, slug, spoken
from reports.charts.ratios import ratio_axis
from reports.comparison.changes import DifferenceGroup, ratio_words
from reports.comparison.tables import median_table, metric_title


def ratio_figure(metric: Metric, groups: Sequence[DifferenceGroup]) -> Figure:
    index = METRICS.index(metric)
    panels = []
    for one in groups:
        rows = [_dot_row(cell, index) for cell in one.cells]
        description = f"{metric_title(metric)} of B over A on {one.label}. {spoken(rows)}"
        panels.append(
            dot_panel(
                f"{slug(metric.name)}-{slug(one.label)}", one.label, description, ratio_axis(rows), rows
            )
        )
    better = "Right of 1, B is better." if metric.more_is_better else "Left of 1, B is better."
    keys = [mark_key("diamond", "mark ink", "B over A"), line_key("interval", "95 % interval")]
    if any(cell.is_valid and cell.ratios[index].low is None for one in groups for cell in one.cells):
        keys.append(mark_key("diamond", "mark open ink", "no interval"))
    return Figure(
        f"ratio-{slug(metric.name)}",
        metric_title(metric),
        f"B over A on a logarithmic axis. {better}",
        tuple(keys),
        tuple(panels),
        (median_table(metric, groups),),
    )


def _dot_row(cell: CellComparison, index: int) -> DotRow:
    if not cell.is_valid:
        return DotRow(cell.cell.server, "invalid", (), is_refused=True)
    ratio = cell.ratios[index]
    if ratio.median is None:
        return DotRow(cell.cell.server, ratio.change.value, ())
    known = ratio.low is not None and ratio.high is not None
    marks = (Mark(ratio.median, "diamond", "mark ink" if known else "mark open ink"),)
    interval = (ratio.low, ratio.high) if ratio.low is not None and ratio.high is not None else None
    return DotRow(cell.cell.server, ratio_words(ratio), marks, interval)
