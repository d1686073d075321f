"""Figures as a reader sees them. One place, so that a figure reads the same in text, table and chart."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.estimate import Estimate

MISSING = "–"


def rate(value: float | None) -> str:
    """Requests a second: ``4,253``; below 100 with one decimal."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def rate_interval(estimate: Estimate) -> str:
    """``4,201 to 4,298``, or a dash where no interval is known."""
    if estimate.low is None or estimate.high is None:
        return MISSING
    return f"{rate(estimate.low)} to {rate(estimate.high)}"


def megabytes(value_bytes: float | None) -> str:
    """``79.4`` for 79,400,000 bytes."""
    return MISSING if value_bytes is None else f"{value_bytes / 1e6:,.1f}"


def gigabytes(value_bytes: float) -> str:
    return f"{value_bytes / 1e9:,.1f} GB"


def milliseconds(value_seconds: float | None) -> str:
    """Three significant digits, which the histograms' resolution bears."""
    if value_seconds is None:
        return MISSING
    value = value_seconds * 1e3
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def microseconds(value_seconds: float | None) -> str:
    return MISSING if value_seconds is None else f"{value_seconds * 1e6:,.0f}"


def percent(share: float | None) -> str:
    """``44 %``; below 10 % with one decimal."""
    if share is None:
        return MISSING
    value = share * 100
    return f"{value:.0f} %" if abs(value) >= 9.95 or value == 0 else f"{value:.1f} %"


def lead(ratio: float) -> str:
    """How far a ratio is above 1 in percent: ``37`` for 1.367; below 1 % with one decimal.

    What is above 1 never reads as 0.
    """
    value = (ratio - 1) * 100
    if abs(value) >= 0.95:
        return f"{value:.0f}"
    if abs(value) >= 0.05:
        return f"{value:.1f}"
    return "under 0.1" if value > 0 else "0"


def times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 9.995 else f"{ratio:.1f}"


def times_beside_one(ratio: float) -> str:
    """As ``times``, with up to four decimals where fewer would read as 1."""
    texts = (times(ratio), f"{ratio:.3f}", f"{ratio:.4f}")
    return times(ratio) if ratio == 1 else next((text for text in texts if float(text) != 1), texts[-1])


def duration(seconds: float) -> str:
    """``27:50`` minutes and seconds, ``1:02:03`` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, noun: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def capital(text: str) -> str:
    """A clause as a sentence begins."""
    return text[:1].upper() + text[1:]
