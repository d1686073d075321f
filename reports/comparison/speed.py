"""The machines' own speed in A and B, in words and as a table."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.at_one_speed import SPEED_METRICS, SpeedChange
from bench.results.comparison import CellComparison, Comparison
from bench.results.ratio import METRICS, Metric, Ratio
from reports.comparison.changes import DifferenceGroup, ratio_words
from reports.tables.table import Table, TableRow, group, numbers, words
from reports.words.numbers import MISSING, percent, times

_SAME_SPEED = 0.02
NOT_READ = "The machine’s own speed isn’t known of both: no correction for it"


def speed_sentence(comparison: Comparison) -> str:
    """How far the machines' speed differed, and moved within each."""
    change = comparison.speed
    if change is None:
        return f"{NOT_READ}."
    took = f"{change.a_seconds * 1e3:.2f} ms in A and {change.b_seconds * 1e3:.2f} ms in B"
    return f"Fixed work on the server’s cores took {took}: {_verdict(change)}{_moved(change)}."


def speed_ratio_sentences(groups: Sequence[DifferenceGroup]) -> tuple[str, ...]:
    """``shortbody at one speed of the machine: requests/s 1.02 in place of 1.31 (uvicorn)``"""
    sentences = []
    for one in groups:
        parts = [
            f"{ratio_words(corrected)} in place of {_bare(measured)} ({cell.cell.server})"
            for cell in one.cells
            if (pair := _requests_per_second(cell)) is not None
            for corrected, measured in (pair,)
        ]
        if parts:
            sentences.append(f"Requests/s on {one.label} at one speed of the machine: {'; '.join(parts)}.")
    return tuple(sentences)


def speed_table(groups: Sequence[DifferenceGroup]) -> Table | None:
    """B over A as measured, and at one speed of the machine; None where no cell has it."""
    rows: list[TableRow] = []
    for one in groups:
        known = [cell for cell in one.cells if cell.at_one_speed]
        if known:
            rows.append(group(one.label))
            rows += [TableRow((cell.cell.server, *_figures(cell))) for cell in known]
    if not rows:
        return None
    titles = [title for metric in SPEED_METRICS for title in (metric.title, "at one speed")]
    note = (
        "At one speed: each run’s figure over what fixed work took on the server’s cores in the same run. It "
        "corrects for a part of what the machine does, so both are shown, and verdicts are by what was "
        "measured. Of requests/s only where the server’s CPU was the limit in A and B."
    )
    caption = "B over A at one speed of the machine"
    return Table(caption, (*words("Server"), *numbers(*titles)), tuple(rows), note, style="ratios")


def _requests_per_second(cell: CellComparison) -> tuple[Ratio, Ratio] | None:
    """At one speed, and as measured."""
    if not cell.at_one_speed or cell.at_one_speed[0].median is None:
        return None
    return cell.at_one_speed[0], _measured(cell, SPEED_METRICS[0])


def _measured(cell: CellComparison, metric: Metric) -> Ratio:
    return cell.ratios[METRICS.index(metric)]


def _figures(cell: CellComparison) -> list[str]:
    pairs = zip(SPEED_METRICS, cell.at_one_speed, strict=True)
    return [
        text for metric, ratio in pairs for text in (ratio_words(_measured(cell, metric)), ratio_words(ratio))
    ]


def _bare(ratio: Ratio) -> str:
    return MISSING if ratio.median is None else times(ratio.median)


def _verdict(change: SpeedChange) -> str:
    if abs(change.ratio - 1) < _SAME_SPEED:
        return "the machines were equally fast"
    way = "slower" if change.ratio > 1 else "faster"
    share = change.ratio - 1 if change.ratio > 1 else 1 / change.ratio - 1
    return f"B’s machine was {percent(share)} {way}"


def _moved(change: SpeedChange) -> str:
    """``; over its runs it moved by 12 % in A``"""
    parts = [
        f"by {percent(moved)} in {side}"
        for side, moved in (("A", change.a_moved), ("B", change.b_moved))
        if moved is not None
    ]
    return f"; over the runs it moved {' and '.join(parts)}" if parts else ""
