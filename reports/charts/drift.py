"""Drift of the hosts: each run against its cell's median, in the order of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from bench.plan.plan import Plan
from bench.results.pairs import runs_of
from bench.results.run import RunResult
from bench.verdicts.contest import Contest
from reports.charts.panels import Axis, Figure, Plot, Series, line_panel, server_keys, slug, style_of
from reports.charts.svg import nice_ticks
from reports.tables.table import Table, TableRow, words
from reports.words.numbers import percent
from reports.words.verdicts import Labelled


def drift_figure(contests: Labelled, runs: Sequence[RunResult], plan: Plan) -> Figure | None:
    """Requests/s against run order; None with one block, which can't show any drift."""
    if plan.profile.blocks < 2:
        return None
    styles = style_of([server.name for server in plan.servers])
    offsets = {label: _offsets(contest, runs) for label, contest in contests}
    values = [abs(value) for cells in offsets.values() for points in cells.values() for _, value in points]
    ticks = nice_ticks(max([*values, 0.02]), 2)
    below = tuple((-tick, f"−{tick * 100:g} %") for tick in reversed(ticks[1:]))
    y_ticks = (*below, *((tick, f"+{tick * 100:g} %" if tick else "0") for tick in ticks))
    y = Axis("requests/s against the cell’s median", y_ticks, y_ticks[0][0], y_ticks[-1][0])
    last = len(plan.runs)
    x_ticks = (1.0, *(tick for tick in nice_ticks(last)[1:] if tick <= last))
    x = Axis("run, in the order made", tuple((tick, f"{tick:.0f}") for tick in x_ticks), 0.5, last + 0.5)
    panels, tables = [], []
    for label, contest in contests:
        series = tuple(
            Series(
                name, points, f"thin s{styles[name].index % 5}", styles[name].mark_class, styles[name].shape
            )
            for name, points in offsets[label].items()
        )
        spread = max((abs(value) for item in series for _, value in item.points), default=0.0)
        panels.append(
            line_panel(
                f"drift-{slug(label)}",
                label,
                f"Requests a second of each valid run on {label} in run order, against its cell’s median. "
                f"The furthest is {percent(spread)} off.",
                [Plot(label, x, y, series, 130.0)],
            )
        )
        tables.append(_drift_table(label, contest, offsets[label]))
    return Figure(
        "drift",
        "Drift",
        "A slope shared by all servers is the hosts’ doing: heat, neighbours, other load.",
        server_keys(styles, contests),
        tuple(panels),
        tuple(tables),
    )


def _offsets(contest: Contest, runs: Sequence[RunResult]) -> dict[str, tuple[tuple[float, float], ...]]:
    """For each server the points (run number, share above the median) of its valid runs."""
    offsets = {}
    for cell in contest.valid:
        valid = [run for run in runs_of(cell, runs) if run.valid]
        middle = median(run.requests_per_second for run in valid)
        if middle > 0:
            offsets[cell.server] = tuple(
                (run.position + 1.0, run.requests_per_second / middle - 1) for run in valid
            )
    return offsets


def _drift_table(label: str, contest: Contest, offsets: Mapping[str, Sequence[tuple[float, float]]]) -> Table:
    rows = tuple(
        TableRow((cell.server, "; ".join(f"run {at:.0f} {value:+.1%}" for at, value in offsets[cell.server])))
        for cell in contest.valid
        if cell.server in offsets
    )
    return Table(f"Each valid run against its cell’s median on {label}", words("Server", "Runs"), rows)
