"""How busy the server and the load generator were."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.run import RunResult
from bench.results.summary import CellSummary
from reports.charts.panels import (
    Axis,
    DotRow,
    Figure,
    Mark,
    dot_panel,
    mark_key,
    slug,
    spoken,
)
from reports.charts.svg import nice_ticks
from reports.tables.busy import busy_table
from reports.tables.table import named
from reports.words.numbers import percent
from reports.words.shares import cell_load_share, cell_server_share
from reports.words.verdicts import Labelled


def busy_figure(contests: Labelled, runs: Sequence[RunResult]) -> Figure:
    shares = [
        share
        for _, contest in contests
        for cell in contest.cells
        for share in (cell_server_share(cell, runs), cell_load_share(cell, runs))
        if share is not None
    ]
    high = max(1.0, *shares) if shares else 1.0
    ticks = tuple((tick, f"{tick * 100:.0f} %") for tick in nice_ticks(high))
    axis = Axis("share of the cores they may use", ticks, 0.0, ticks[-1][0])
    panels = []
    for label, contest in contests:
        rows = [_busy_row(cell, runs) for cell in contest.cells]
        heard = f"CPU used on {label}, server and busiest load worker. " + spoken(rows)
        panels.append(dot_panel(f"busy-{slug(label)}", label, heard, axis, rows))
    return Figure(
        "busy",
        "Who was busy",
        "A server near 100 % with an easy load generator is measured at its own limit. "
        "A load worker near 100 % measures itself.",
        (
            mark_key("circle", "mark s0", "server (median of runs)"),
            mark_key("diamond", "mark s1", "busiest load worker (worst run)"),
        ),
        tuple(panels),
        (busy_table(contests, runs),),
    )


def _busy_row(cell: CellSummary, runs: Sequence[RunResult]) -> DotRow:
    server, load = cell_server_share(cell, runs), cell_load_share(cell, runs)
    marks = []
    if server is not None:
        marks.append(Mark(server, "circle", "mark s0"))
    if load is not None:
        marks.append(Mark(load, "diamond", "mark s1" if cell.valid else "mark bad"))
    figure = f"server {percent(server)}, load {percent(load)}"
    return DotRow(named(cell), figure, tuple(marks), None, is_refused=not cell.valid)
