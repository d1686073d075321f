"""Throughput against workers, in times of what one worker answers, beside what would be linear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from bench.results.scaling import ScalingCurve
from reports.charts.panels import Axis, Figure, Plot, Series, Style, line_key, line_panel, slug, style_of
from reports.charts.svg import nice_ticks
from reports.tables.scaling import scaling_table
from reports.words.balancers import name_of
from reports.words.numbers import times

LINEAR_CLASS = "upright"
_MOST_LABELS = 8


def scaling_figure(curves: Sequence[ScalingCurve]) -> Figure | None:
    """A panel for each endpoint; None where no curve has an efficiency."""
    drawn = [curve for curve in curves if len(_points(curve)) > 1]
    if not drawn:
        return None
    styles = style_of(list(dict.fromkeys(name_of(curve.first) for curve in drawn)))
    endpoints = dict.fromkeys(curve.first.endpoint for curve in drawn)
    keys = tuple(
        line_key(style.line_class, name, style.shape, style.mark_class) for name, style in styles.items()
    )
    return Figure(
        "scaling",
        "Throughput against workers",
        "In times of what one worker of the same server answers; whiskers are 95 % intervals over blocks. "
        "The thin line is linear: so many times as much with so many workers.",
        (*keys, line_key(LINEAR_CLASS, "linear")),
        tuple(
            _panel(endpoint, [one for one in drawn if one.first.endpoint == endpoint], styles)
            for endpoint in endpoints
        ),
        tuple(
            scaling_table(endpoint, [one for one in curves if one.first.endpoint == endpoint])
            for endpoint in dict.fromkeys(curve.first.endpoint for curve in curves)
        ),
    )


def _points(curve: ScalingCurve) -> tuple[tuple[float, float], ...]:
    """(workers, times one worker) of each that is known."""
    return tuple(
        (float(point.workers), point.efficiency.mean * point.workers)
        for point in curve.points
        if point.efficiency is not None
    )


def _whiskers(curve: ScalingCurve) -> tuple[tuple[float, float, float], ...]:
    return tuple(
        (float(point.workers), found.low * point.workers, found.high * point.workers)
        for point in curve.points
        if point.workers > 1 and (found := point.efficiency) is not None
        if found.low is not None and found.high is not None
    )


def _panel(endpoint: str, curves: Sequence[ScalingCurve], styles: Mapping[str, Style]) -> Markup:
    most = max(point.workers for curve in curves for point in curve.points)
    highest = max(most, *(value for curve in curves for _, value in _points(curve)))
    counts = sorted({point.workers for curve in curves for point in curve.points})
    shown = counts if len(counts) <= _MOST_LABELS else [counts[0], counts[-1]]
    across = Axis("workers", tuple((float(count), f"{count}") for count in shown), 0.0, most * 1.05)
    ticks = nice_ticks(highest)
    upward = Axis("times one worker", tuple((tick, f"{tick:g}") for tick in ticks), 0.0, ticks[-1])
    linear = Series("linear", ((0.0, 0.0), (float(most), float(most))), LINEAR_CLASS)
    series = [
        Series(
            name_of(curve.first),
            _points(curve),
            styles[name_of(curve.first)].line_class,
            styles[name_of(curve.first)].mark_class,
            styles[name_of(curve.first)].shape,
            _whiskers(curve),
        )
        for curve in curves
    ]
    heard = "; ".join(
        f"{name_of(curve.first)} "
        + ", ".join(f"{times(value)} with {workers:.0f}" for workers, value in _points(curve))
        for curve in curves
    )
    return line_panel(
        f"scaling-{slug(endpoint)}",
        endpoint,
        f"Throughput on {endpoint}, in times of what one worker answers. {heard}.",
        [Plot("", across, upward, (linear, *series), 170.0)],
    )
