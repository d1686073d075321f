"""Which figures the report has, and what each one draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from bench.plan import Plan
from bench.result import Bytes, CellSummary, MemoryPoint, RunResult
from reports.charts import (
    Axis,
    DotRow,
    Figure,
    Key,
    Mark,
    Plot,
    Series,
    Style,
    dot_panel,
    line_key,
    line_panel,
    linear_axis,
    mark_key,
    style_of,
)
from reports.numbers import MISSING, megabytes, milliseconds, percent, rate, rate_interval, times
from reports.svg import log_ticks, nice_ticks
from reports.tables import Row, Table, latency_table, numbers, tone, trust_table, words
from reports.trust import cell_load_share, cell_server_share
from reports.verdicts import LEVEL_MARGIN, Contest, compare, runs_of

Labelled = Sequence[tuple[str, Contest]]

_RATIO_TICKS = (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100)
_PERCENTILES = ((0.0, "p50"), (1.0, "p90"), (2.0, "p99"), (3.0, "p99.9"), (4.0, "max"))
_MOST_POINTS = 100
_MOST_TABLE_ROWS = 30


def throughput_figure(contests: Labelled, runs: Sequence[RunResult]) -> Figure:
    panels, tables = [], []
    for label, contest in contests:
        own = [runs_of(cell, runs) for cell in contest.cells]
        highest = max((run.requests_per_second for made in own for run in made), default=1.0)
        rows = [_rate_row(cell, made) for cell, made in zip(contest.cells, own, strict=True)]
        panels.append(
            dot_panel(
                f"rate-{_slug(label)}",
                label,
                f"Requests a second on {label}. " + _spoken(rows),
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
        "Requests a second",
        "The axes begin at 0 and differ between panels. More is better.",
        (
            mark_key("diamond", "mark ink", "median"),
            mark_key("circle", "mark open ink", "one run"),
            line_key("interval", "95 % interval"),
            mark_key("cross", "mark open bad", "void run"),
        ),
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
                f"ratio-{_slug(label)}",
                label,
                f"Ratio of requests a second on {label}. " + _spoken(rows),
                _ratio_axis(rows),
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
        words_ = f"CPU used on {label}, server and busiest load worker. " + _spoken(rows)
        panels.append(dot_panel(f"busy-{_slug(label)}", label, words_, axis, rows))
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
        tuple(trust_table(contest, label, runs) for label, contest in contests),
    )


def drift_figure(contests: Labelled, runs: Sequence[RunResult], plan: Plan) -> Figure | None:
    """Requests/s against run order; None with one block, which can't show any drift."""
    if plan.profile.blocks < 2:
        return None
    styles = style_of([server.name for server in plan.servers])
    offsets = {label: _offsets(contest, runs) for label, contest in contests}
    values = [abs(value) for cells in offsets.values() for points in cells.values() for _, value in points]
    ticks = nice_ticks(max([*values, 0.02]), 2)
    both = tuple((-tick, f"−{tick:.0%}") for tick in reversed(ticks[1:]))
    y_ticks = (*both, *((tick, f"{tick:+.0%}" if tick else "0") for tick in ticks))
    y = Axis("requests/s against the cell’s median", y_ticks, y_ticks[0][0], y_ticks[-1][0])
    x = linear_axis("run, in the order made", float(len(plan.runs)), ",.0f")
    panels, tables = [], []
    for label, contest in contests:
        series = tuple(
            Series(name, points, f"thin s{styles[name].index % 5}", styles[name].mark_class, styles[name].shape)
            for name, points in offsets[label].items()
        )
        spread = max((abs(value) for item in series for _, value in item.points), default=0.0)
        panels.append(
            line_panel(
                f"drift-{_slug(label)}",
                label,
                f"Requests a second of each valid run on {label} in run order, against the median of its cell. "
                f"The furthest is {percent(spread)} off.",
                [Plot(label, x, y, series, 130.0)],
            )
        )
        tables.append(_drift_table(label, contest, offsets[label]))
    return Figure(
        "drift",
        "Drift",
        "A slope shared by all servers is the hosts’ doing: heat, neighbours, other load.",
        _server_keys(styles, contests),
        tuple(panels),
        tuple(tables),
    )


def latency_figure(contests: Labelled, plan: Plan) -> Figure:
    styles = style_of([server.name for server in plan.servers])
    panels = []
    for label, contest in contests:
        series = tuple(
            Series(
                cell.server,
                _latency_points(cell),
                styles[cell.server].line_class,
                styles[cell.server].mark_class,
                styles[cell.server].shape,
            )
            for cell in contest.ranked
            if cell.latency_seconds is not None
        )
        values = [value for item in series for _, value in item.points if value > 0]
        if not values:
            continue
        ticks = log_ticks(min(values), max(values))
        y = Axis("ms", tuple((t, f"{t:g}") for t in ticks), ticks[0], ticks[-1], is_log=True)
        x = Axis("share of requests that were faster", _PERCENTILES, -0.2, 4.2)
        spoken = "; ".join(
            f"{item.label} p50 {item.points[0][1]:.3g} ms, p99 {item.points[2][1]:.3g} ms, "
            f"max {item.points[4][1]:.3g} ms"
            for item in series
        )
        panels.append(
            line_panel(
                f"latency-{_slug(label)}",
                label,
                f"Latency by percentile on {label}. {spoken}.",
                [Plot(label, x, y, series, 150.0)],
            )
        )
    return Figure(
        "latency-by-percentile",
        "Latency by percentile",
        f"Of the requests in the window only, at 0.1 % resolution, in a closed loop with "
        f"{plan.profile.connections} connections. Both axes are logarithmic. Refused cells are in the table only.",
        _server_keys(styles, contests),
        tuple(panels),
        tuple(latency_table(contest, label) for label, contest in contests),
    )


def memory_figure(contests: Labelled) -> Figure:
    cells = [cell for _, contest in contests for cell in contest.cells]
    highest = max((cell.rss_bytes.peak or 0 for cell in cells), default=0) / 1e6
    axis = linear_axis("MB", highest, ",.0f")
    panels, tables = [], []
    for label, contest in contests:
        rows = [_memory_row(cell) for cell in contest.cells]
        panels.append(
            dot_panel(
                f"memory-{_slug(label)}",
                label,
                f"Peak memory on {label} in MB. " + _spoken(rows),
                axis,
                rows,
            )
        )
        tables.append(
            Table(
                f"Peaks on {label}, MB",
                (*words("Server"), *numbers("RSS idle", "RSS peak", "PSS peak")),
                tuple(
                    Row(
                        (
                            cell.server,
                            megabytes(cell.rss_bytes.idle),
                            megabytes(cell.rss_bytes.peak),
                            megabytes(_peak(cell.pss_bytes)),
                        ),
                        tone(cell),
                    )
                    for cell in contest.cells
                ),
            )
        )
    return Figure(
        "memory-peaks",
        "Peak memory",
        "All of a server’s processes, summed. The axes begin at 0 and are the same. Less is better.",
        (
            mark_key("circle", "mark s0", "RSS peak"),
            mark_key("diamond", "mark s1", "PSS peak"),
            mark_key("bar", "mark s4", "RSS idle"),
        ),
        tuple(panels),
        tuple(tables),
    )


def memory_over_time_figure(plan: Plan, runs: Sequence[RunResult]) -> Figure | None:
    """One panel a server configuration, one run an endpoint: the one in the middle by requests/s."""
    styles = style_of([endpoint.name for endpoint in plan.endpoints])
    chosen: dict[str, dict[str, RunResult]] = {}
    several = len(plan.profile.server_workers) > 1
    for cell in dict.fromkeys(planned.cell for planned in plan.runs):
        run = _middle_run([run for run in runs if run.cell == cell])
        if run is not None and len(run.memory) > 1:
            name = f"{cell.server}, {cell.workers} workers" if several else cell.server
            chosen.setdefault(name, {})[cell.endpoint] = run
    if not chosen:
        return None
    highest = max(p.rss_bytes for own in chosen.values() for run in own.values() for p in run.memory)
    order = [server.name for server in plan.servers]
    names = sorted(chosen, key=lambda name: (order.index(name.split(",")[0]), name))
    by_name = [(name, {e.name: chosen[name][e.name] for e in plan.endpoints if e.name in chosen[name]}) for name in names]
    return Figure(
        "memory-over-time",
        "Memory over time",
        "RSS of the whole process tree above, requests/s below, in each cell’s run in the middle by "
        "requests/s. The load starts at 0 s; the window starts at the upright line.",
        tuple(line_key(style.dash_class, name) for name, style in styles.items()),
        tuple(_memory_panel(name, own, styles, highest / 1e6, plan) for name, own in by_name),
        tuple(_memory_time_table(name, own) for name, own in by_name),
    )


def _rate_row(cell: CellSummary, made: Sequence[RunResult]) -> DotRow:
    marks = [
        Mark(run.requests_per_second, "circle", "mark open ink", 3.5)
        if run.valid
        else Mark(run.requests_per_second, "cross", "mark open bad", 4.0)
        for run in made
    ]
    if not cell.valid:
        return DotRow(cell.server, "refused" if made else "not run", tuple(marks), None, is_refused=True)
    figures = cell.requests_per_second
    interval = None if figures.low is None or figures.high is None else (figures.low, figures.high)
    middle = figures.median or 0.0
    return DotRow(
        cell.server, rate(figures.median), (*marks, Mark(middle, "diamond", "mark ink")), interval
    )


def _rate_cells(cell: CellSummary, made: Sequence[RunResult]) -> Row:
    figures = cell.requests_per_second
    every = "; ".join(rate(run.requests_per_second) + ("" if run.valid else " (void)") for run in made)
    return Row((cell.server, rate(figures.median), rate_interval(figures), every), tone(cell))


def _busy_row(cell: CellSummary, runs: Sequence[RunResult]) -> DotRow:
    server, load = cell_server_share(cell, runs), cell_load_share(cell, runs)
    marks = []
    if server is not None:
        marks.append(Mark(server, "circle", "mark s0"))
    if load is not None:
        marks.append(Mark(load, "diamond", "mark s1" if cell.valid else "mark bad"))
    figure = f"server {percent(server)}, load {percent(load)}"
    return DotRow(cell.server, figure, tuple(marks), None, is_refused=not cell.valid)


def _memory_row(cell: CellSummary) -> DotRow:
    marks = []
    if cell.rss_bytes.idle is not None:
        marks.append(Mark(cell.rss_bytes.idle / 1e6, "bar", "mark s4", 3.5))
    pss = _peak(cell.pss_bytes)
    if pss is not None:
        marks.append(Mark(pss / 1e6, "diamond", "mark s1", 4.0))
    if cell.rss_bytes.peak is not None:
        marks.append(Mark(cell.rss_bytes.peak / 1e6, "circle", "mark s0", 4.0))
    return DotRow(cell.server, megabytes(cell.rss_bytes.peak), tuple(marks), None, is_refused=not cell.valid)


def _peak(amounts: Bytes | None) -> int | None:
    return None if amounts is None else amounts.peak


def _ratio_axis(rows: Sequence[DotRow]) -> Axis:
    bounds = [bound for row in rows if row.interval is not None for bound in row.interval]
    low, high = min(0.9, *bounds) / 1.03, max(1.25, *bounds) * 1.03
    inside = [tick for tick in _RATIO_TICKS if low <= tick <= high]
    ticks = _spaced(inside, low, high)
    labels = tuple((tick, f"{tick:g}") for tick in ticks)
    return Axis("ratio", labels, low, high, is_log=True, band=(1 / LEVEL_MARGIN, LEVEL_MARGIN))


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


def _drift_table(
    label: str, contest: Contest, offsets: Mapping[str, Sequence[tuple[float, float]]]
) -> Table:
    rows = tuple(
        Row((cell.server, "; ".join(f"run {at:.0f} {value:+.1%}" for at, value in offsets[cell.server])))
        for cell in contest.ranked
        if cell.server in offsets
    )
    return Table(f"Each valid run against its cell’s median on {label}", words("Server", "Runs"), rows)


def _latency_points(cell: CellSummary) -> tuple[tuple[float, float], ...]:
    latency = cell.latency_seconds
    if latency is None:
        return ()
    values = (latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max)
    return tuple((at, value * 1e3) for (at, _), value in zip(_PERCENTILES, values, strict=True))


def _server_keys(styles: Mapping[str, Style], contests: Labelled) -> tuple[Key, ...]:
    shown = {cell.server for _, contest in contests for cell in contest.ranked}
    return tuple(
        line_key(style.line_class, name, style.shape, style.mark_class)
        for name, style in styles.items()
        if name in shown
    )


def _middle_run(runs: Sequence[RunResult]) -> RunResult | None:
    usable = [run for run in runs if run.valid] or list(runs)
    ordered = sorted(usable, key=lambda run: (run.requests_per_second, run.position))
    return ordered[(len(ordered) - 1) // 2] if ordered else None


def _memory_panel(
    name: str, own: Mapping[str, RunResult], styles: Mapping[str, Style], highest_megabytes: float, plan: Plan
) -> Markup:
    ...
