"""The report's figures: small panels of inline SVG, each figure with its legend and the table behind it.

A panel is 340 pixels wide and never scaled up, so that its text is as large on a phone as on a desk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from reports.charts.svg import SHAPES, Scale, joined, line, lines, mark, nice_ticks, number, panel, tag, text
from reports.tables.table import Table
from reports.words.verdicts import Labelled

WIDTH = 340.0
LEFT, RIGHT = 6.0, 334.0
ROW_HEIGHT = 40.0
_COLOURS = 5
_DASHES = ("solid", "dashed", "dotted")


@dataclass(frozen=True)
class Key:
    """One entry of a legend; ``sample`` is a small drawing without a meaning of its own."""

    sample: Markup
    label: str


@dataclass(frozen=True)
class Figure:
    """``panels`` are SVG; ``tables`` hold every figure that they draw."""

    identifier: str
    title: str
    caption: str
    legend: tuple[Key, ...]
    panels: tuple[Markup, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Style:
    """What distinguishes one series from others: shape or dash, and colour. ``index`` is its place."""

    index: int

    @property
    def shape(self) -> str:
        return SHAPES[self.index % len(SHAPES)]

    @property
    def mark_class(self) -> str:
        return f"mark s{self.index % _COLOURS}" + (" open" if self.shape == "cross" else "")

    @property
    def line_class(self) -> str:
        return f"line s{self.index % _COLOURS}"

    @property
    def dash_class(self) -> str:
        return f"line s{self.index % _COLOURS} {_DASHES[self.index % len(_DASHES)]}"


@dataclass(frozen=True)
class Mark:
    value: float
    shape: str
    class_: str
    size: float = 4.5


@dataclass(frozen=True)
class DotRow:
    """One line of a dot plot: its name and figure above, its marks on the track below."""

    label: str
    figure: str
    marks: tuple[Mark, ...]
    interval: tuple[float, float] | None = None
    is_refused: bool = False


@dataclass(frozen=True)
class Axis:
    """Tick values with their labels, and the scale they stand on. ``band`` is shaded."""

    title: str
    ticks: tuple[tuple[float, str], ...]
    low: float
    high: float
    is_log: bool = False
    band: tuple[float, float] | None = None


@dataclass(frozen=True)
class Series:
    """Points (x, y) in data units, joined in this order. They have marks unless ``shape`` is None.

    ``whiskers`` are intervals (x, low, high), cut where the axis ends.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    line_class: str
    mark_class: str = ""
    shape: str | None = None
    whiskers: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Plot:
    """A rectangle of a panel with axes of its own. ``upright`` are lines at x, with labels."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    height: float
    upright: tuple[tuple[float, str], ...] = ()


def dot_panel(identifier: str, title: str, description: str, axis: Axis, rows: Sequence[DotRow]) -> Markup:
    """A dot plot: each row's marks at their places on one axis, which is labelled below."""
    top, bottom = 30.0, 30.0 + ROW_HEIGHT * len(rows)
    scale = Scale(axis.low, axis.high, LEFT + 8, RIGHT - 8, axis.is_log)
    parts = [text(LEFT, 16, title, "panel-title")]
    if axis.band is not None:
        left, right = scale(axis.band[0]), scale(axis.band[1])
        parts.append(tag("rect", x=left, y=top, width=right - left, height=bottom - top, class_="band"))
    ticks = [(scale(value), label) for value, label in axis.ticks]
    parts.append(lines([(x, top, x, bottom) for x, _ in ticks], "grid"))
    parts += [text(x, bottom + 15, label, "tick", _anchor(x)) for x, label in ticks]
    for index, row in enumerate(rows):
        parts.append(_dot_row(row, top + ROW_HEIGHT * index, scale))
    parts.append(text(RIGHT, bottom + 31, axis.title, "axis-title", "end"))
    return panel(identifier, title, description, WIDTH, bottom + 38, joined(parts))


def line_panel(identifier: str, title: str, description: str, plots: Sequence[Plot]) -> Markup:
    """A panel with plots one above the other."""
    parts, top = [text(LEFT, 16, title, "panel-title")], 24.0
    for plot in plots:
        body, top = _plot(plot, top)
        parts.append(body)
    return panel(identifier, title, description, WIDTH, top + 2, joined(parts))


def linear_axis(title: str, high: float, labels: str = ",g", wanted: int = 4) -> Axis:
    """From 0 to the first round value above ``high``."""
    ticks = nice_ticks(high, wanted)
    return Axis(title, tuple((tick, format(tick, labels)) for tick in ticks), 0.0, ticks[-1])


def mark_key(shape: str, class_: str, label: str) -> Key:
    return Key(_sample(mark(shape, 11, 7, class_)), label)


def line_key(class_: str, label: str, shape: str | None = None, mark_class: str = "") -> Key:
    drawn = [line(1, 7, 21, 7, class_)]
    if shape is not None:
        drawn.append(mark(shape, 11, 7, mark_class))
    return Key(_sample(joined(drawn)), label)


def style_of(names: Sequence[str]) -> Mapping[str, Style]:
    return {name: Style(index) for index, name in enumerate(names)}


def _sample(drawn: Markup) -> Markup:
    return tag("svg", drawn, aria_hidden="true", viewBox="0 0 22 14", width=22.0, height=14.0)


def _dot_row(row: DotRow, top: float, scale: Scale) -> Markup:
    track = top + 27
    parts = [
        text(LEFT, top + 15, row.label, "row-label refused" if row.is_refused else "row-label"),
        text(
            RIGHT, top + 15, row.figure, "figure-label refused" if row.is_refused else "figure-label", "end"
        ),
        line(LEFT, track, RIGHT, track, "track"),
    ]
    if row.interval is not None:
        low, high = scale(row.interval[0]), scale(row.interval[1])
        parts.append(
            tag(
                "path",
                d=f"M{number(low)} {number(track - 7)}v14M{number(low)} {number(track)}"
                f"H{number(high)}M{number(high)} {number(track - 7)}v14",
                class_="interval",
            )
        )
    parts += [mark(item.shape, scale(item.value), track, item.class_, item.size) for item in row.marks]
    return joined(parts)


def _plot(plot: Plot, top: float) -> tuple[Markup, float]:
    """Draws one plot from ``top`` on; returns where the next may begin."""
    left, right = LEFT + 40, RIGHT - 8
    start = top + 20
    end = start + plot.height
    x = Scale(plot.x.low, plot.x.high, left, right, plot.x.is_log)
    y = Scale(plot.y.low, plot.y.high, end, start, plot.y.is_log)
    parts = [text(LEFT, top + 11, plot.y.title, "axis-title")]
    parts.append(lines([(left, y(value), right, y(value)) for value, _ in plot.y.ticks], "grid"))
    parts += [text(left - 5, y(value) + 4, label, "tick", "end") for value, label in plot.y.ticks]
    for value, label in plot.x.ticks:
        parts.append(text(x(value), end + 15, label, "tick", "middle"))
    for value, label in plot.upright:
        parts.append(line(x(value), start, x(value), end, "upright"))
        if label:
            parts.append(text(x(value) + 3, start - 3, label, "tick"))
    for series in plot.series:
        points = [(x(at), y(value)) for at, value in series.points]
        if len(points) > 1 and series.line_class:
            parts.append(_path(points, series.line_class))
        if series.whiskers:
            ends = [
                (x(at), y(_within(low, plot.y)), y(_within(high, plot.y)))
                for at, low, high in series.whiskers
            ]
            parts.append(tag("path", d="".join(_whisker(*one) for one in ends), class_="interval"))
        if series.shape is not None:
            parts += [mark(series.shape, at, value, series.mark_class, 4.0) for at, value in points]
    if plot.x.title:
        parts.append(text(right, end + 30, plot.x.title, "axis-title", "end"))
    return joined(parts), end + (36 if plot.x.title else 20)


def _within(value: float, axis: Axis) -> float:
    return min(max(value, axis.low), axis.high)


def _whisker(x: float, low: float, high: float) -> str:
    return f"M{number(x - 4)} {number(high)}h8m-4 0V{number(low)}m-4 0h8"


def _path(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    body = "L".join(f"{number(x)} {number(y)}" for x, y in points)
    return tag("path", d=f"M{body}", class_=class_)


def _anchor(x: float) -> str:
    """Where a tick's label is anchored, so that labels at the rims stay inside the panel."""
    if x < LEFT + 20:
        return "start"
    return "end" if x > RIGHT - 20 else "middle"


def spoken(rows: Sequence[DotRow]) -> str:
    return "; ".join(f"{row.label} {row.figure}" for row in rows) + "."


def slug(label: str) -> str:
    return "".join(char if char.isalnum() else "-" for char in label.lower())


def server_keys(styles: Mapping[str, Style], contests: Labelled) -> tuple[Key, ...]:
    shown = {cell.server for _, contest in contests for cell in contest.valid}
    return tuple(
        line_key(style.line_class, name, style.shape, style.mark_class)
        for name, style in styles.items()
        if name in shown
    )
