"""p99 against the offered rate, and the share of it that was answered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from bench.plan.plan import Plan
from bench.results.latency import P99
from bench.verdicts.contest import Contest
from reports.charts.panels import Axis, Figure, Plot, Series, Style, line_key, line_panel, slug, style_of
from reports.charts.svg import log_ticks, nice_ticks
from reports.tables.rates import rates_table
from reports.words.over_runs import over_runs
from reports.words.rates import RateGroup, achieved_rate, ended_early, p99_seconds, with_latency

_MOST_TICKS = 5


def rates_figure(groups: Sequence[RateGroup], plan: Plan, contests: Sequence[Contest] = ()) -> Figure:
    """``contests`` are those of all cells at equal rates."""
    styles = style_of([server.name for server in plan.servers])
    drawn = [(group, own) for group in groups if (own := _by_server(group))]
    shown = {server for _, own in drawn for server in own}
    return Figure(
        "latency-at-rates",
        "p99 against the offered rate",
        "Both axes are logarithmic; whiskers are 95 % intervals over runs, cut where the axis ends. "
        "Below, the share of the offered requests that was answered. "
        "Less latency is better. Refused cells are in the table only, and so is p99 of a load that was ended "
        "early.",
        tuple(
            line_key(style.line_class, name, style.shape, style.mark_class)
            for name, style in styles.items()
            if name in shown
        ),
        tuple(_panel(group, own, styles, _whiskers(group)) for group, own in drawn),
        tuple(rates_table(group, contests) for group in groups),
    )


def _by_server(group: RateGroup) -> dict[str, list[tuple[float, float, float]]]:
    """(offered, p99 in ms, achieved share) of each valid cell, by rising rate.

    p99 is not a number where the load was ended early: it would have grown for as long as it lasted.
    """
    found: dict[str, list[tuple[float, float, float]]] = {}
    for cell in with_latency(group.cells):
        offered, achieved = cell.rate_per_second, achieved_rate(cell)
        p99 = p99_seconds(cell)
        if offered is not None and achieved is not None and p99:
            shown = math.nan if ended_early(cell) else p99 * 1e3
            found.setdefault(cell.server, []).append((offered, shown, achieved / offered))
    return {server: sorted(points) for server, points in found.items()}


def _whiskers(group: RateGroup) -> dict[str, tuple[tuple[float, float, float], ...]]:
    """(offered, low, high) in ms of p99's interval, of each server's valid cells that have one."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for cell in with_latency(group.cells):
        known = over_runs(cell, P99)
        if ended_early(cell):
            continue
        if known is not None and known.estimate.low is not None and known.estimate.high is not None:
            interval = (cell.rate_per_second or 0.0, known.estimate.low * 1e3, known.estimate.high * 1e3)
            found.setdefault(cell.server, []).append(interval)
    return {server: tuple(intervals) for server, intervals in found.items()}


def _panel(
    group: RateGroup,
    own: Mapping[str, Sequence[tuple[float, float, float]]],
    styles: Mapping[str, Style],
    whiskers: Mapping[str, tuple[tuple[float, float, float], ...]],
) -> Markup:
    points = [point for found in own.values() for point in found]
    x_ticks = _few(log_ticks(min(point[0] for point in points), max(point[0] for point in points)))
    tails = [point[1] for point in points if not math.isnan(point[1])] or [1.0]
    y_ticks = _few(log_ticks(min(tails), max(tails)))
    share_ticks = nice_ticks(max(1.0, *(point[2] for point in points)), 2)
    labelled = tuple((tick, f"{tick:,g}") for tick in x_ticks)
    # Room for the half of the last label that stands beyond its tick.
    right = x_ticks[-1] * (x_ticks[-1] / x_ticks[0]) ** 0.06
    bare = Axis("", labelled, x_ticks[0], right, is_log=True)
    titled = Axis("requests/s offered", labelled, x_ticks[0], right, is_log=True)
    latency = Axis("p99, ms", tuple((t, f"{t:,g}") for t in y_ticks), y_ticks[0], y_ticks[-1], is_log=True)
    answered = Axis("answered", tuple((t, f"{t * 100:.0f} %") for t in share_ticks), 0.0, share_ticks[-1])
    heard = "; ".join(
        f"{server} " + ", ".join(_heard(offered, p99) for offered, p99, _ in found)
        for server, found in own.items()
    )

    def series(column: int, *, with_whiskers: bool = False) -> tuple[Series, ...]:
        return tuple(
            Series(
                server,
                tuple((point[0], point[column]) for point in found if not math.isnan(point[column])),
                styles[server].line_class,
                styles[server].mark_class,
                styles[server].shape,
                whiskers.get(server, ()) if with_whiskers else (),
            )
            for server, found in own.items()
        )

    return line_panel(
        f"rates-{slug(group.label)}",
        group.label,
        f"p99 latency against offered requests a second on {group.label}. {heard}.",
        [
            Plot("", bare, latency, series(1, with_whiskers=True), 140.0),
            Plot("", titled, answered, series(2), 50.0),
        ],
    )


def _heard(offered: float, p99_milliseconds: float) -> str:
    if math.isnan(p99_milliseconds):
        return f"ended early at {offered:,.0f}"
    return f"{p99_milliseconds:.3g} ms at {offered:,.0f}"


def _few(ticks: Sequence[float]) -> tuple[float, ...]:
    """All ticks, or only powers of ten and the ends where all would crowd the axis."""
    if len(ticks) <= _MOST_TICKS:
        return tuple(ticks)
    middle = [tick for tick in ticks[1:-1] if math.isclose(math.log10(tick) % 1, 0, abs_tol=1e-9)]
    return (ticks[0], *middle, ticks[-1])
