"""Memory beside requests a second over the time of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from bench.plan.plan import Plan
from bench.results.figures import MemoryPoint
from bench.results.run import RunResult
from bench.results.summary import ranking_cells
from reports.charts.panels import (
    Axis,
    Figure,
    Plot,
    Series,
    Style,
    line_key,
    line_panel,
    linear_axis,
    slug,
    style_of,
)
from reports.charts.svg import nice_ticks
from reports.tables.table import Table, TableRow, numbers
from reports.words.numbers import MISSING, megabytes
from reports.words.served import served_words

_MOST_POINTS = 100
_MOST_TABLE_ROWS = 30


def memory_over_time_figure(plan: Plan, runs: Sequence[RunResult]) -> Figure | None:
    """One panel per server, with the run of each endpoint whose requests/s are the median."""
    styles = style_of([endpoint.name for endpoint in plan.endpoints])
    chosen: dict[str, dict[str, RunResult]] = {}
    several = len(plan.profile.server_workers) > 1
    cells = ranking_cells(dict.fromkeys(planned.cell for planned in plan.runs))
    reached = {cell.served for cell in cells}
    for cell in cells:
        run = _middle_run([run for run in runs if run.cell == cell])
        if run is not None and len(run.memory) > 1:
            name = f"{cell.server}, {cell.workers} workers" if several else cell.server
            served = served_words(cell.served, reached)
            name = f"{name}, {served}" if served else name
            chosen.setdefault(name, {})[cell.endpoint] = run
    if not chosen:
        return None
    highest = max(p.rss_bytes for own in chosen.values() for run in own.values() for p in run.memory)
    order = [server.name for server in plan.servers]
    names = sorted(chosen, key=lambda name: (order.index(name.split(",")[0]), name))
    by_name = [
        (name, {end.name: chosen[name][end.name] for end in plan.endpoints if end.name in chosen[name]})
        for name in names
    ]
    return Figure(
        "memory-over-time",
        "Memory over time",
        "RSS of the whole process tree, and requests/s below it, of one run a cell: the median one by "
        "requests/s. The load starts at 0 s, the window at the upright line.",
        tuple(line_key(style.dash_class, name) for name, style in styles.items()),
        tuple(_memory_panel(name, own, styles, highest / 1e6, plan) for name, own in by_name),
        tuple(_memory_time_table(name, own) for name, own in by_name),
    )


def _middle_run(runs: Sequence[RunResult]) -> RunResult | None:
    usable = [run for run in runs if run.valid] or list(runs)
    ordered = sorted(usable, key=lambda run: (run.requests_per_second, run.position))
    return ordered[(len(ordered) - 1) // 2] if ordered else None


def _memory_panel(
    name: str, own: Mapping[str, RunResult], styles: Mapping[str, Style], highest_megabytes: float, plan: Plan
) -> Markup:
    memory = tuple(
        Series(
            endpoint,
            tuple((point.seconds, point.rss_bytes / 1e6) for point in _thinned(run.memory)),
            styles[endpoint].dash_class,
        )
        for endpoint, run in own.items()
    )
    # A second's requests are those up to its end, so its point stands in its middle.
    answered = tuple(
        Series(
            endpoint,
            tuple((second.second + 0.5, float(second.requests)) for second in run.seconds),
            styles[endpoint].dash_class,
        )
        for endpoint, run in own.items()
    )
    first = min(point.seconds for run in own.values() for point in run.memory)
    last = max(point.seconds for run in own.values() for point in run.memory)
    ticks = tuple((tick, f"{tick:g}") for tick in nice_ticks(last, 5) if tick <= last)
    bare, titled = (
        Axis("", ticks, first, last),
        Axis("seconds from the start of the load", ticks, first, last),
    )
    fastest = max((value for item in answered for _, value in item.points), default=1.0)
    window = ((float(plan.profile.warmup_seconds), ""),)
    heard = "; ".join(
        f"{endpoint} {megabytes(run.rss_bytes.idle)} MB idle, {megabytes(run.rss_bytes.peak)} MB at most"
        for endpoint, run in own.items()
    )
    return line_panel(
        f"time-{slug(name)}",
        name,
        f"RSS and requests a second of {name} over time. {heard}.",
        (
            Plot("", bare, linear_axis("RSS, MB", highest_megabytes, ",g"), memory, 110.0, window),
            Plot("", titled, linear_axis("requests/s", fastest, ",.0f", 2), answered, 60.0, window),
        ),
    )


def _memory_time_table(name: str, own: Mapping[str, RunResult]) -> Table:
    """A row for every second, or for every few seconds: at most thirty rows."""
    endpoints = tuple(own)
    seconds = sorted({second.second for run in own.values() for second in run.seconds})
    stride = -(-len(seconds) // _MOST_TABLE_ROWS) or 1
    answered = {
        endpoint: {second.second: second.requests for second in run.seconds} for endpoint, run in own.items()
    }
    rows = []
    for second in seconds[::stride]:
        cells = [str(second)]
        for endpoint in endpoints:
            nearest = min(own[endpoint].memory, key=lambda point: abs(point.seconds - second))
            cells += [megabytes(nearest.rss_bytes), _requests(answered[endpoint].get(second))]
        rows.append(TableRow(tuple(cells)))
    titles = [
        title for endpoint in endpoints for title in (f"{endpoint}: RSS, MB", f"{endpoint}: requests/s")
    ]
    runs = ", ".join(run.run_id for run in own.values())
    note = f"Runs {runs}." + (f" Every {stride} seconds." if stride > 1 else "")
    return Table(f"{name} over time", numbers("Second", *titles), tuple(rows), note)


def _requests(value: int | None) -> str:
    return MISSING if value is None else f"{value:,}"


def _thinned(points: Sequence[MemoryPoint]) -> tuple[MemoryPoint, ...]:
    """At most a hundred points, each the greatest of its stretch, so that no peak is lost."""
    stride = -(-len(points) // _MOST_POINTS)
    stretches = [points[start : start + stride] for start in range(0, len(points), stride)]
    return tuple(max(stretch, key=lambda point: point.rss_bytes) for stretch in stretches)
