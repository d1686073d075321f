"""A small part of SVG: what the report's charts are drawn with. Colours are CSS classes, never values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

SHAPES = ("circle", "square", "triangle", "diamond", "cross", "bar")


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic map from data to pixels."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(value)
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)


def number(value: float) -> str:
    """A coordinate: one decimal is a tenth of a pixel."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def tag(name: str, content: Markup | str = "", **attributes: str | float) -> Markup:
    """An element. Underscores in attribute names become dashes; a trailing one is dropped (``class_``)."""
    parts = [
        f'{key.rstrip("_").replace("_", "-")}="{escape(value if isinstance(value, str) else number(value))}"'
        for key, value in attributes.items()
    ]
    opening = " ".join([name, *parts])
    inner = escape(content)
    return Markup(f"<{opening}>{inner}</{name}>" if inner else f"<{opening}/>")


def text(x: float, y: float, content: str, class_: str = "", anchor: str = "start") -> Markup:
    extra = {"class_": class_} if class_ else {}
    if anchor != "start":
        extra["text_anchor"] = anchor
    return tag("text", content, x=x, y=y, **extra)


Segment = tuple[float, float, float, float]
"""x1, y1, x2, y2."""


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return lines([(x1, y1, x2, y2)], class_)


def lines(segments: Sequence[Segment], class_: str) -> Markup:
    """Straight lines as one element."""
    path = "".join(f"M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}" for x1, y1, x2, y2 in segments)
    return tag("path", d=path, class_=class_)


def mark(shape: str, x: float, y: float, class_: str, size: float = 4.5) -> Markup:
    """A data point. Shapes tell the series apart where colours can't."""
    if shape == "circle":
        return tag("circle", cx=x, cy=y, r=size, class_=class_)
    return tag("path", d=_OUTLINES[shape](x, y, size), class_=class_)


def joined(parts: Sequence[Markup]) -> Markup:
    return Markup("").join(parts)


def panel(identifier: str, title: str, description: str, width: float, height: float, body: Markup) -> Markup:
    """A whole drawing with its text alternative."""
    name, words = f"{identifier}-title", f"{identifier}-desc"
    content = joined(
        [tag("title", title, id=name), tag("desc", description, id=words), body],
    )
    return tag(
        "svg",
        content,
        role="img",
        aria_labelledby=f"{name} {words}",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
    )


def nice_ticks(high: float, wanted: int = 4) -> tuple[float, ...]:
    """Round values from 0 on; the last is at least ``high``."""
    if high <= 0:
        return (0.0, 1.0)
    rough = high / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    count = math.ceil(high / step - 1e-9)
    return tuple(step * index for index in range(count + 1))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """1, 2 and 5 of each power of ten; the first is at most ``low`` and the last at least ``high``."""
    found: list[float] = []
    for exponent in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2):
        found += [factor * 10.0**exponent for factor in (1, 2, 5)]
    first = max(index for index, value in enumerate(found) if value <= low * (1 + 1e-9))
    last = min(index for index, value in enumerate(found) if value >= high * (1 - 1e-9))
    return tuple(found[first : max(last, first + 1) + 1])


def _square(x: float, y: float, size: float) -> str:
    half = size * 0.89
    return (
        f"M{number(x - half)} {number(y - half)}h{number(2 * half)}v{number(2 * half)}h{number(-2 * half)}z"
    )


def _triangle(x: float, y: float, size: float) -> str:
    wide, up, down = size * 1.1, size * 1.2, size * 0.8
    return (
        f"M{number(x)} {number(y - up)}L{number(x + wide)} {number(y + down)}"
        f"L{number(x - wide)} {number(y + down)}z"
    )


def _diamond(x: float, y: float, size: float) -> str:
    half = size * 1.25
    return (
        f"M{number(x)} {number(y - half)}L{number(x + half)} {number(y)}"
        f"L{number(x)} {number(y + half)}L{number(x - half)} {number(y)}z"
    )


def _cross(x: float, y: float, size: float) -> str:
    return (
        f"M{number(x - size)} {number(y - size)}L{number(x + size)} {number(y + size)}"
        f"M{number(x - size)} {number(y + size)}L{number(x + size)} {number(y - size)}"
    )


def _bar(x: float, y: float, size: float) -> str:
    half = size * 1.3
    return f"M{number(x - size / 2)} {number(y - half)}h{number(size)}v{number(2 * half)}h{number(-size)}z"


_OUTLINES: dict[str, Callable[[float, float, float], str]] = {
    "square": _square,
    "triangle": _triangle,
    "diamond": _diamond,
    "cross": _cross,
    "bar": _bar,
}
