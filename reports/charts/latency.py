"""The figure of latency by percentile."""

from __future__ import annotations

from bench.plan.plan import Plan
from bench.results.latency import PERCENTILES, Latency
from bench.results.summary import CellSummary
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
from reports.words.over_runs import over_runs
from reports.words.verdicts import Labelled

# The axis has a tick for each percentile, then one for the maximum.
_MAX_AT = float(len(PERCENTILES))
_TICKS = (*((float(at), one.title) for at, one in enumerate(PERCENTILES)), (_MAX_AT, "max"))


def latency_figure(contests: Labelled, plan: Plan) -> Figure:
    styles = style_of([server.name for server in plan.servers])
    panels = []
    for label, contest in contests:
        known = [
            (cell.server, cell.latency_seconds) for cell in contest.valid if cell.latency_seconds is not None
        ]
        whiskers = {cell.server: _whiskers(cell) for cell in contest.valid}
        series = tuple(
            Series(
                server,
                _points(latency),
                styles[server].line_class,
                styles[server].mark_class,
                styles[server].shape,
                whiskers[server],
            )
            for server, latency in known
        )
        values = [value for item in series for _, value in item.points if value > 0]
        if not values:
            continue
        ticks = log_ticks(min(values), max(values))
        y = Axis("ms", tuple((t, f"{t:g}") for t in ticks), ticks[0], ticks[-1], is_log=True)
        x = Axis("share of requests that were faster", _TICKS, -0.2, _MAX_AT + 0.2)
        heard = "; ".join(
            f"{server} {_heard(latency)}max {_at_least(latency, 'max')}{latency.max * 1e3:.3g} ms"
            for server, latency in known
            for server, latency in known
            for server, latency in known
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
        "Both axes are logarithmic; whiskers are 95 % intervals over runs, cut where the axis ends. "
        "Refused cells are in the table only.",
        server_keys(styles, contests),
        tuple(panels),
        (latency_table(contests),),
    )


def _whiskers(cell: CellSummary) -> tuple[tuple[float, float, float], ...]:
    """(place on the axis, low, high) in ms of each percentile that has an interval over runs."""
    found = []
    for at, percentile in enumerate(PERCENTILES):
        known = over_runs(cell, percentile)
        if known is not None and known.estimate.low is not None and known.estimate.high is not None:
            found.append((float(at), known.estimate.low * 1e3, known.estimate.high * 1e3))
    return tuple(found)


def _heard(latency: Latency) -> str:
    """``p50 0.8 ms, p99 2.1 ms, ``; without those that the latency lacks."""
    known = [(one, one.of(latency)) for one in PERCENTILES if one.name in ("p50", "p99")]
    return "".join(
        f"{one.title} {_at_least(latency, one.name)}{value * 1e3:.3g} ms, "
        for one, value in known
        if value is not None
    )


def _at_least(latency: Latency, name: str) -> str:
    return "at least " if name in latency.at_least else ""


def _points(latency: Latency) -> tuple[tuple[float, float], ...]:
    """(place on the axis, milliseconds); a percentile that the result lacks has no point."""
    found = ((float(at), percentile.of(latency)) for at, percentile in enumerate(PERCENTILES))
    points = [(at, value * 1e3) for at, value in found if value is not None]
    return (*points, (_MAX_AT, latency.max * 1e3))
