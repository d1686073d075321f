"""Figures of requests a second: every run, how far ahead, drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from bench.plan.plan import Plan
from bench.results.result import CellSummary, RunResult
from reports.charts.panels import (
    Axis,
    DotRow,
    Figure,
    Key,
    Mark,
    Plot,
    Series,
    dot_panel,
    line_key,
    line_panel,
    linear_axis,
    mark_key,
    server_keys,
    slug,
    spoken,
    style_of,
)
from reports.charts.svg import nice_ticks
from reports.tables.table import Row, Table, numbers, tone, words
from reports.words.numbers import percent, rate, rate_interval, times
from reports.words.verdicts import LEVEL_MARGIN, Contest, Labelled, compare, runs_of

_RATIO_TICKS = (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100)


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


def ratio_figure(contests: Labelled, runs: Sequence[RunResult]) -> Figure | None:
    """The leader against each other ranked server; None where no pair has an interval."""
    panels, tables = [], []
    for label, contest in contests:
        pairs = [compare(contest.ranked[0], cell, runs) for cell in contest.ranked[1:]]
        known = [(pair, pair.ratio.low, pair.ratio.high, pair.ratio.median) for pair in pairs]
        rows = [
            DotRow(
                f"{pair.better.server} over {pair.other.server}",
                f"{times(middle)}  ({times(low)} to {times(high)})",
                (Mark(middle, "diamond", "mark ink"),),
                (low, high),
            )
            for pair, low, high, middle in known
            if low is not None and high is not None and middle is not None
        ]
        if not rows:
            continue
        panels.append(
            dot_panel(
                f"ratio-{slug(label)}",
                label,
                f"Ratio of requests a second on {label}. " + spoken(rows),
                ratio_axis(rows, (1 / LEVEL_MARGIN, LEVEL_MARGIN)),
                rows,
            )
        )
        tables.append(
            Table(
                f"Ratios on {label}",
                (*words("Pair"), *numbers("Ratio (95 % interval)"), *words("Verdict")),
                tuple(
                    Row((row.label, row.figure, pair.verdict.value))
                    for row, pair in zip(rows, pairs, strict=False)
                ),
            )
        )
    if not panels:
        return None
    return Figure(
        "ratios",
        "How far ahead",
        "The fastest server’s requests/s over each other’s, block by block, on a logarithmic axis. "
        f"The shaded band, {1 / LEVEL_MARGIN:.2f} to {LEVEL_MARGIN:.2f}, is what is called level.",
        (mark_key("diamond", "mark ink", "median of the blocks"), line_key("interval", "95 % interval")),
        tuple(panels),
        tuple(tables),
    )


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


def _rate_keys(contests: Labelled, runs: Sequence[RunResult]) -> tuple[Key, ...]:
    """Only what is drawn."""
    keys = [mark_key("diamond", "mark ink", "median"), mark_key("circle", "mark open ink", "one run")]
    if any(cell.requests_per_second.low is not None for _, contest in contests for cell in contest.ranked):
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


def _rate_cells(cell: CellSummary, made: Sequence[RunResult]) -> Row:
    figures = cell.requests_per_second
    every = "; ".join(rate(run.requests_per_second) + ("" if run.valid else " (void)") for run in made)
    return Row((cell.server, rate(figures.median), rate_interval(figures), every), tone(cell))


def ratio_axis(rows: Sequence[DotRow], band: tuple[float, float] | None = None) -> Axis:
    """Logarithmic, with 1 on it, and room for every mark and interval."""
    bounds = [bound for row in rows if row.interval is not None for bound in row.interval]
    bounds += [mark.value for row in rows for mark in row.marks]
    low, high = min(0.9, *bounds) / 1.03, max(1.25, *bounds) * 1.03
    inside = [tick for tick in _RATIO_TICKS if low <= tick <= high]
    ticks = _spaced(inside, low, high)
    labels = tuple((tick, f"{tick:g}") for tick in ticks)
    return Axis("ratio", labels, low, high, is_log=True, band=band)


def _spaced(ticks: Sequence[float], low: float, high: float) -> tuple[float, ...]:
    """Those that leave room for their labels; 1 always stays."""
    least = (high / low) ** 0.11
    kept = [1.0]
    for tick in sorted(ticks):
        if all(max(tick / other, other / tick) >= least for other in kept):
            kept.append(tick)
    return tuple(sorted(kept))


def _offsets(contest: Contest, runs: Sequence[RunResult]) -> dict[str, tuple[tuple[float, float], ...]]:
    """For each server the points (run number, share above the median) of its valid runs."""
    offsets = {}
    for cell in contest.ranked:
        valid = [run for run in runs_of(cell, runs) if run.valid]
        middle = median(run.requests_per_second for run in valid)
        if middle > 0:
            offsets[cell.server] = tuple(
                (run.position + 1.0, run.requests_per_second / middle - 1) for run in valid
            )
    return offsets


def _drift_table(label: str, contest: Contest, offsets: Mapping[str, Sequence[tuple[float, float]]]) -> Table:
    rows = tuple(
        Row((cell.server, "; ".join(f"run {at:.0f} {value:+.1%}" for at, value in offsets[cell.server])))
        for cell in contest.ranked
        if cell.server in offsets
    )
    return Table(f"Each valid run against its cell’s median on {label}", words("Server", "Runs"), rows)
