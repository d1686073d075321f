"""Requests a second: every run, with median and interval."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.pairs import runs_of
from bench.results.run import RunResult
from bench.results.summary import CellSummary
from reports.charts.panels import (
    DotRow,
    Figure,
    Key,
    Mark,
    dot_panel,
    line_key,
    linear_axis,
    mark_key,
    slug,
    spoken,
)
from reports.tables.table import Table, TableRow, numbers, tone, words
from reports.words.numbers import rate, rate_interval
from reports.words.verdicts import Labelled


def throughput_figure(contests: Labelled, runs: Sequence[RunResult]) -> Figure:
    panels, tables = [], []
    for label, contest in contests:
        own = [runs_of(cell, runs) for cell in contest.cells]
        highest = max((run.requests_per_second for made in own for run in made), default=1.0)
        rows = [_rate_row(cell, made) for cell, made in zip(contest.cells, own, strict=True)]
        panels.append(
            dot_panel(
                f"rate-{slug(label)}",
                label,
                f"Requests a second on {label}. " + spoken(rows),
                linear_axis("requests/s", highest, ",.0f"),
                rows,
            )
        )
        tables.append(
            Table(
                f"Requests/s on {label}",
                (*words("Server"), *numbers("Median", "95 % interval"), *words("Every run, in run order")),
                tuple(_rate_cells(cell, made) for cell, made in zip(contest.cells, own, strict=True)),
            )
        )
    return Figure(
        "throughput",
        "Every run, with median and interval",
        "The axes begin at 0 and differ between panels. More is better.",
        _rate_keys(contests, runs),
        tuple(panels),
        tuple(tables),
    )


def _rate_keys(contests: Labelled, runs: Sequence[RunResult]) -> tuple[Key, ...]:
    """The legend of what is drawn, and of nothing else."""
    keys = [mark_key("diamond", "mark ink", "median"), mark_key("circle", "mark open ink", "one run")]
    if any(cell.requests_per_second.low is not None for _, contest in contests for cell in contest.valid):
        keys.append(line_key("interval", "95 % interval"))
    if not all(run.valid for run in runs):
        keys.append(mark_key("cross", "mark open bad", "void run"))
    return tuple(keys)


def _rate_row(cell: CellSummary, made: Sequence[RunResult]) -> DotRow:
    marks = [
        Mark(run.requests_per_second, "circle", "mark open ink", 3.5)
        if run.valid
        else Mark(run.requests_per_second, "cross", "mark open bad", 4.0)
        for run in made
    ]
    if not cell.valid:
        return DotRow(cell.server, "refused" if made else "not run", tuple(marks), is_refused=True)
    figures = cell.requests_per_second
    interval = None if figures.low is None or figures.high is None else (figures.low, figures.high)
    middle = figures.median or 0.0
    return DotRow(cell.server, rate(figures.median), (*marks, Mark(middle, "diamond", "mark ink")), interval)


def _rate_cells(cell: CellSummary, made: Sequence[RunResult]) -> TableRow:
    figures = cell.requests_per_second
    every = "; ".join(rate(run.requests_per_second) + ("" if run.valid else " (void)") for run in made)
    return TableRow((cell.server, rate(figures.median), rate_interval(figures), every), tone(cell))
