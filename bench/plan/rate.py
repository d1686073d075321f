"""A stated rate: requests per second, or a share of what each server served in closed loop.

A share is of one maximum, the same for every run of a cell and for every share of it: the median of the
valid closed loops that were there when its first open loop began. Each open loop's result records it, and
whatever comes later, after a --resume too, takes it from there.
"""

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


class OfferedRate(msgspec.Struct, frozen=True):
    """What an open loop is to offer, in requests/s."""

    per_second: float
    # What the same cell reached in closed loop: the maximum that a share is of. None: no valid run shows it.
    own_maximum_per_second: float | None = None


def offered_rate(cell: Cell, runs: Sequence[RunResult]) -> OfferedRate | None:
    """What to offer an open-loop cell after these ``runs`` of its plan.

    A share of the maximum has three significant digits. None for a closed loop, and for a share where no
    valid closed loop has a figure.
    """
    if not cell.is_open_loop:
        return None
    maximum = own_maximum(cell, runs)
    if cell.rate_per_second is not None:
        return OfferedRate(cell.rate_per_second, maximum)
    earlier = [run.open_loop for run in runs if run.cell == cell and run.open_loop is not None]
    if earlier:
        return OfferedRate(earlier[0].offered_rate_per_second, maximum)
    if cell.rate_share is None or maximum is None:
        return None
    return OfferedRate(float(f"{cell.rate_share * maximum:.{SIGNIFICANT_DIGITS}g}"), maximum)


def own_maximum(cell: Cell, runs: Sequence[RunResult]) -> float | None:
    """What the cell reached in closed loop, in requests/s: as an open loop has recorded it, else the median.

    Results of before it was recorded have the median of all valid closed loops. None: no valid run shows it.
    """
    recorded = [
        run.open_loop.own_maximum_per_second
        for run in runs
        if run.cell.closed_loop == cell.closed_loop and run.open_loop is not None
    ]
    known = [maximum for maximum in recorded if maximum is not None]
    if known:
        return known[0]
    reached = [run.requests_per_second for run in runs if run.valid and run.cell == cell.closed_loop]
    return median(reached) if reached and median(reached) > 0 else None
