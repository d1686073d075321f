"""A comparison at the terminal: a row for each cell with as many figures as fit, else a block for each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from bench.results.comparison import CellComparison, Comparison
from bench.results.gate import Gate
from bench.results.likeness import Difference
from bench.results.ratio import Change
from reports.comparison.changes import (
    DifferenceGroup,
    figure_of,
    flip_sentences,
    gate_sentences,
    groups_of,
    headline,
    invalid_because,
    ratio_words,
    title_of,
    worse_sentences,
)
from reports.comparison.fingerprints import host_differences, python_sentence, software_differences
from reports.comparison.page import notes
from reports.comparison.speed import speed_ratio_sentences, speed_sentence

_LEGEND = "B over A of medians [95 % interval]; ~ is within noise, ? not beyond chance"
_TITLES = ("", "A, req/s", "B, req/s", "requests/s", "p99", "RSS", "CPU a request", "req/s a core")
_WHICH_WAY = {Change.BETTER: " better", Change.WORSE: " worse"}
# Which of the titles a table has; the page has all.
_SHOWN = ((0, 1, 2, 3, 4, 5, 6, 7), (0, 3, 4, 5, 6, 7), (0, 1, 2, 3, 4, 5), (0, 3, 4, 5))
_LEAST = 24
_WITHOUT_WRAPPING = 10_000
_MOST_DIFFERENCES = 12
_INDENT = 9


def comparison_lines(comparison: Comparison, gate: Gate | None, columns: int | None) -> list[str]:
    """The comparison, without colours and paths. No line is wider than ``columns``, or 24.

    ``columns`` is None where the output is no terminal: nothing is wrapped then.
    """
    width = _WITHOUT_WRAPPING if columns is None else max(columns, _LEAST)
    lines = [*_named("A", comparison, width), *_named("B", comparison, width)]
    lines += [*_labelled("Python", [python_sentence(comparison)[1]], width), ""]
    groups = groups_of(comparison)
    lines += _table(groups, width) or _blocks(groups, width)
    lines.append("")
    lines += _labelled("Ratio", [_LEGEND], width)
    lines += _labelled("Answer", [headline(comparison)], width)
    lines += _labelled("Order", flip_sentences(comparison), width)
    lines += _labelled("Speed", (speed_sentence(comparison), *speed_ratio_sentences(groups)), width)
    lines += _labelled("Hosts", _differences(host_differences(comparison)), width)
    lines += _labelled("Software", _differences(software_differences(comparison)), width)
    lines += _labelled("Note", [f"{note}." for note in notes(comparison)], width)
    if gate is not None:
        lines += _labelled("Gate", (*worse_sentences(gate), *gate_sentences(gate)), width)
    return lines


def _named(side: str, comparison: Comparison, width: int) -> list[str]:
    one = comparison.a if side == "A" else comparison.b
    plan = one.plan
    valid = sum(run.valid for run in one.runs)
    text = f"{one.name} ({plan.environment}, {plan.created_at}), {valid} of {len(plan.runs)} runs valid"
    return _labelled(side, [text], width)


def _table(groups: Sequence[DifferenceGroup], width: int) -> list[str]:
    """One line per cell, with the first of its figures that fit; empty where too few do."""
    for shown in _SHOWN:
        lines = _lines_of(_rows(groups), shown)
        if max(map(len, lines)) <= width:
            return [*lines, *_reasons(groups, width)]
    return []


def _reasons(groups: Sequence[DifferenceGroup], width: int) -> list[str]:
    """Why cells are invalid."""
    invalid = [(group.label, cell) for group in groups for cell in group.cells if not cell.is_valid]
    return [
        line
        for label, cell in invalid
        for line in _wrapped(f"{label} {cell.cell.server}: {invalid_because(cell)}", width, "", "  ")
    ]


def _rows(groups: Sequence[DifferenceGroup]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [_TITLES]
    for group in groups:
        rows.append((group.label,))
        rows += [_table_row(cell) for cell in group.cells]
    return rows


def _lines_of(rows: Sequence[tuple[str, ...]], shown: Sequence[int]) -> list[str]:
    """The columns ``shown`` of the rows, and the short rows as they are."""
    full = [row for row in rows if len(row) == len(_TITLES)]
    widths = {column: max(len(row[column]) for row in full) for column in shown}
    widths[0] = max(len(row[0]) for row in rows if len(row) > 1)
    lines = []
    for row in rows:
        if len(row) < len(_TITLES):
            lines.append("  ".join([f"{row[0]:<{widths[0]}}", *row[1:]]).rstrip())
            continue
        cells = [
            f"{row[column]:<{size}}" if column == 0 else f"{row[column]:>{size}}"
            for column, size in widths.items()
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _table_row(cell: CellComparison) -> tuple[str, ...]:
    name = f"  {cell.cell.server}"
    if not cell.is_valid:
        return (name, "invalid")
    first = cell.ratios[0]
    figures = (figure_of(first.metric, first.a), figure_of(first.metric, first.b))
    return (name, *figures, *(ratio_words(ratio) for ratio in cell.ratios))


def _blocks(groups: Sequence[DifferenceGroup], width: int) -> list[str]:
    lines: list[str] = []
    for group in groups:
        for cell in group.cells:
            lines += textwrap.wrap(f"{group.label}  {cell.cell.server}", width)
            if not cell.is_valid:
                lines += _wrapped(invalid_because(cell), width, "  ", "    ")
                continue
            lines += _block(cell, width)
    return lines


def _block(cell: CellComparison, width: int) -> list[str]:
    rows = [
        (
            title_of(ratio.metric),
            f"{figure_of(ratio.metric, ratio.a)} → {figure_of(ratio.metric, ratio.b)}",
            f"{ratio_words(ratio)}{_WHICH_WAY.get(ratio.change, '')}",
        )
        for ratio in cell.ratios
    ]
    names, figures = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    whole = [f"  {name:<{names}}  {shown:>{figures}}  {ratio}" for name, shown, ratio in rows]
    if max(map(len, whole)) <= width:
        return whole
    return [line for name, _, ratio in rows for line in _wrapped(f"{name}  {ratio}", width, "  ", "    ")]


def _differences(found: Sequence[Difference]) -> list[str]:
    """The first of the differences; the page has all."""
    shown = [f"{item.what}: {item.a} → {item.b}" for item in found[:_MOST_DIFFERENCES]]
    rest = len(found) - len(shown)
    if rest:
        shown.append(f"and {rest} more, on the page")
    return shown or ["no difference"]


def _labelled(name: str, sentences: Sequence[str], width: int) -> list[str]:
    """The sentences, wrapped, with ``name`` before the first line."""
    lines: list[str] = []
    for sentence in sentences:
        first = f"{'' if lines else name:<{_INDENT}}"
        lines += _wrapped(sentence, width, first, " " * _INDENT)
    return lines


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    """The text, wrapped; a figure and its per-cent sign stay on one line."""
    lines = textwrap.wrap(
        text.replace(" %", "\u00a0%"),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    )
    return [line.replace("\u00a0", " ") for line in lines]
