"""The machine's own speed, run by run: fixed work, and what a request cost, each against its usual."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.results.course import yardstick_seconds
from bench.results.run import RunResult
from reports.charts.panels import Axis, Figure, Plot, Series, line_key, line_panel
from reports.charts.svg import nice_ticks
from reports.tables.table import Table, TableRow, numbers, words
from reports.words.numbers import MISSING, percent

_YARDSTICK = Series("fixed work", (), "thin s0", "mark s0", "circle")
_COST = Series("CPU per request", (), "thin s1", "mark s1", "square")
_HEIGHT = 120.0
Points = tuple[tuple[float, float], ...]


def machine_speed_figure(runs: Sequence[RunResult]) -> Figure | None:
    """Against the order of the runs; None where the yardstick was read in fewer than two."""
    ordered = sorted(runs, key=lambda run: run.position)
    yardstick, cost = _yardstick(ordered), _cost(ordered)
    if len(yardstick) < 2:
        return None
    last = max(run.position for run in ordered) + 1
    ticks = (1.0, *(tick for tick in nice_ticks(last)[1:] if tick <= last))
    x = Axis("run, in the order made", tuple((tick, f"{tick:.0f}") for tick in ticks), 0.5, last + 0.5)
    work = _axis("fixed work on the server’s cores, against its median", yardstick)
    plots = [Plot("", x, work, (_with(_YARDSTICK, yardstick),), _HEIGHT)]
    if cost:
        axis = _axis("CPU per request, against its cell’s median", cost)
        plots.append(Plot("", x, axis, (_with(_COST, cost),), _HEIGHT))
    furthest = max(abs(value) for _, value in yardstick)
    description = (
        "What fixed work took on the server’s cores in each run against the median of all, and CPU per "
        f"request of each run against its cell’s median. Fixed work is at most {percent(furthest)} off."
    )
    return Figure(
        "machine-speed",
        "Run by run",
        "More is slower. Where both move together, it was the machine; where only CPU per request does, it "
        "was the server, or what its neighbours did within the window.",
        (
            line_key(_YARDSTICK.line_class, _YARDSTICK.label, "circle", _YARDSTICK.mark_class),
            line_key(_COST.line_class, _COST.label, "square", _COST.mark_class),
        ),
        (line_panel("machine-speed-all", "The machine’s own speed", description, plots),),
        (_table(ordered),),
    )


def _yardstick(runs: Sequence[RunResult]) -> Points:
    found = [(run, seconds) for run in runs if (seconds := yardstick_seconds(run))]
    middle = median(seconds for _, seconds in found) if found else 1.0
    return tuple((run.position + 1.0, seconds / middle - 1) for run, seconds in found)


def _cost(runs: Sequence[RunResult]) -> Points:
    """A cell's single run is its own median, which shows nothing: it is left out."""
    points = []
    for cell in dict.fromkeys(run.cell for run in runs):
        found = [(run, cost) for run in runs if run.cell == cell and (cost := run.cpu_seconds_per_request)]
        if len(found) > 1:
            middle = median(cost for _, cost in found)
            points += [(run.position + 1.0, cost / middle - 1) for run, cost in found]
    return tuple(sorted(points))


def _axis(title: str, points: Points) -> Axis:
    ticks = nice_ticks(max([*(abs(value) for _, value in points), 0.02]), 2)
    below = tuple((-tick, f"−{tick * 100:g} %") for tick in reversed(ticks[1:]))
    labelled = (*below, *((tick, f"+{tick * 100:g} %" if tick else "0") for tick in ticks))
    return Axis(title, labelled, labelled[0][0], labelled[-1][0])


def _with(series: Series, points: Points) -> Series:
    return Series(series.label, points, series.line_class, series.mark_class, series.shape)


def _table(runs: Sequence[RunResult]) -> Table:
    rows = tuple(
        TableRow(
            (
                f"{run.position + 1}",
                f"{run.cell.title}, block {run.block}",
                *_rests(run),
                *_loads(run),
                _microseconds(run.cpu_seconds_per_request),
            )
        )
        for run in runs
    )
    columns = (
        *words("Run", "Cell"),
        *numbers("before, ms", "after, ms", "load’s cores, ms", "CPU per request, µs"),
    )
    note = (
        "What fixed work took in CPU time on the server’s cores before and after the load, and on a core of "
        "each load host, as the mean of both rests."
    )
    return Table("The machine’s own speed in each run", columns, rows, note)


def _rests(run: RunResult) -> tuple[str, str]:
    if run.machine_speed is None:
        return MISSING, MISSING
    server = run.machine_speed.server
    before, after = (None if one is None else one.seconds for one in (server.before, server.after))
    return _milliseconds(before), _milliseconds(after)


def _loads(run: RunResult) -> tuple[str]:
    hosts = {} if run.machine_speed is None else run.machine_speed.load
    return ("; ".join(f"{host} {_milliseconds(one.seconds)}" for host, one in hosts.items()) or MISSING,)


def _milliseconds(seconds: float | None) -> str:
    return MISSING if seconds is None else f"{seconds * 1e3:.2f}"


def _microseconds(seconds: float | None) -> str:
    return MISSING if seconds is None else f"{seconds * 1e6:,.1f}"
