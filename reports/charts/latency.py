"""The figure of latency by percentile."""

from __future__ import annotations

from bench.plan.plan import Plan
from bench.results.result import CellSummary
from reports.charts.panels import (
    Axis,
    Figure,
    Plot,
    Series,
    line_panel,
    server_keys,
    slug,
    style_of,
)
from reports.charts.svg import log_ticks
from reports.tables.latency import latency_table
from reports.words.verdicts import Labelled

_PERCENTILES = ((0.0, "p50"), (1.0, "p90"), (2.0, "p99"), (3.0, "p99.9"), (4.0, "max"))


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
        heard = "; ".join(
            f"{item.label} p50 {item.points[0][1]:.3g} ms, p99 {item.points[2][1]:.3g} ms, "
            f"max {item.points[4][1]:.3g} ms"
            for item in series
        )
        panels.append(
            line_panel(
                f"latency-{slug(label)}",
                label,
                f"Latency by percentile on {label}. {heard}.",
                [Plot(label, x, y, series, 150.0)],
            )
        )
    return Figure(
        "latency-by-percentile",
        "Latency by percentile",
        f"Window only, 0.1 % resolution, closed loop with {plan.profile.connections} connections. "
        "Both axes are logarithmic. Refused cells are in the table only.",
        server_keys(styles, contests),
        tuple(panels),
        (latency_table(contests),),
    )


def _latency_points(cell: CellSummary) -> tuple[tuple[float, float], ...]:
    latency = cell.latency_seconds
    if latency is None:
        return ()
    values = (latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max)
    return tuple((at, value * 1e3) for (at, _), value in zip(_PERCENTILES, values, strict=True))
