"""A stated rate: requests a second, or a share of what each server served in closed loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import msgspec

from bench.errors import UsageError
from bench.results.cell import Cell
from bench.results.run import RunResult

SIGNIFICANT_DIGITS = 3
MOST_PERCENT = 300
"""Beyond it nothing but the queue is measured."""


class Rate(msgspec.Struct, frozen=True):
    """One of the two is None. ``share`` 1.0 is the server's own closed-loop maximum."""

    per_second: float | None = None
    share: float | None = None


def parse_rate(text: str) -> Rate:
    """``500`` or ``70%``. Raises UsageError."""
    is_share = text.endswith("%")
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UsageError(
            f"{text!r} is no rate",
            remedy="Give requests/s (500), or a share of each server's own maximum (70%)",
        )
    if is_share and value > MOST_PERCENT:
        raise UsageError(
            f"{text} is too much: the share is of what the server itself served at most",
            remedy=f"Give a share up to {MOST_PERCENT}%",
        )
    return Rate(share=value / 100) if is_share else Rate(per_second=value)


def parse_rates(texts: Sequence[str]) -> tuple[Rate, ...]:
    """Each once, in the order given. Raises UsageError."""
    return tuple(dict.fromkeys(map(parse_rate, texts)))


def offered_rate(cell: Cell, runs: Sequence[RunResult]) -> float | None:
    """The requests a second to offer an open-loop cell.

    A share is of the median of the valid closed-loop ``runs``, to three significant digits; None where there
    is none with a figure.
    """
    if cell.rate_share is None:
        return cell.rate_per_second
    reached = [run.requests_per_second for run in runs if run.valid and run.cell == cell.closed_loop]
    if not reached or median(reached) <= 0:
        return None
    return float(f"{cell.rate_share * median(reached):.{SIGNIFICANT_DIGITS}g}")
