"""How far ahead: the fastest server over each other, with the interval."""

from __future__ import annotations

from collections.abc import Sequence

from bench.verdicts.pair import LEVEL_MARGIN, PairVerdict
from reports.charts.panels import Axis, DotRow, Figure, Mark, dot_panel, line_key, mark_key, slug, spoken
from reports.tables.table import Table, TableRow, numbers, words
from reports.words.numbers import times_beside_one
from reports.words.sentences import verdict_words
from reports.words.verdicts import Labelled

_RATIO_TICKS = (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100)


def ratio_figure(contests: Labelled) -> Figure | None:
    """The first of each contest against each other ranked server; None where no pair has an interval."""
    panels, tables = [], []
    for label, contest in contests:
        pairs = [contest.between(contest.ranked[0], cell) for cell in contest.ranked[1:]]
        known = [(pair, row) for pair in pairs if (row := _row(pair)) is not None]
        rows = [row for _, row in known]
        if not rows:
            continue
        panels.append(
            dot_panel(
                f"ratio-{slug(label)}",
                label,
                f"Ratio of requests a second on {label}. " + spoken(rows),
                ratio_axis(rows, (1 / LEVEL_MARGIN, LEVEL_MARGIN)),
                rows,
            )
        )
        tables.append(
            Table(
                f"Ratios on {label}",
                (*words("Pair"), *numbers("Ratio (95 % interval)"), *words("Verdict")),
                tuple(TableRow((row.label, row.figure, verdict_words(pair))) for pair, row in known),
            )
        )
    if not panels:
        return None
    return Figure(
        "ratios",
        "How far ahead",
        "The first server’s requests/s over each other’s, block by block, on a logarithmic axis. "
        f"The shaded band, {1 / LEVEL_MARGIN:.2f} to {LEVEL_MARGIN:.2f}, is what is called level.",
        (mark_key("diamond", "mark ink", "mean of the blocks"), line_key("interval", "95 % interval")),
        tuple(panels),
        tuple(tables),
    )


def _row(pair: PairVerdict) -> DotRow | None:
    middle, low, high = pair.ratio.mean, pair.ratio.low, pair.ratio.high
    if middle is None or low is None or high is None:
        return None
    figure = f"{times_beside_one(middle)}  ({times_beside_one(low)} to {times_beside_one(high)})"
    mark = Mark(middle, "diamond", "mark ink")
    return DotRow(f"{pair.better.server} over {pair.other.server}", figure, (mark,), (low, high))


def ratio_axis(rows: Sequence[DotRow], band: tuple[float, float] | None = None) -> Axis:
    """A logarithmic axis that holds 1 and every mark and interval."""
    bounds = [bound for row in rows if row.interval is not None for bound in row.interval]
    bounds += [mark.value for row in rows for mark in row.marks]
    low, high = min([0.9, *bounds]) / 1.03, max([1.25, *bounds]) * 1.03
    inside = [tick for tick in _RATIO_TICKS if low <= tick <= high]
    ticks = _spaced(inside, low, high)
    labels = tuple((tick, f"{tick:g}") for tick in ticks)
    return Axis("ratio", labels, low, high, is_log=True, band=band)


def _spaced(ticks: Sequence[float], low: float, high: float) -> tuple[float, ...]:
    """The ticks that leave room for their labels. 1 always stays."""
    least = (high / low) ** 0.11
    kept = [1.0]
    for tick in sorted(ticks):
        if all(max(tick / other, other / tick) >= least for other in kept):
            kept.append(tick)
    return tuple(sorted(kept))
