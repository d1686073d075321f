"""What ends a benchmark on the terminal: a row for each cell, then what bounds the figures.

Where the terminal is too narrow for a row of all columns, what is said in words stands below its figures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from bench.results.run import RunResult
from bench.results.summary import Summary
from reports.terminal.caveats import caveat_lines
from reports.terminal.cells import CellRow, cell_rows
from reports.terminal.consoles import WITHOUT_WRAPPING, table_lines
from reports.terminal.screen import labelled, wrapped
from reports.words.sentences import LIMITS

TITLES = CellRow(
    endpoint="endpoint",
    server="server",
    load="load",
    rate="requests/s",
    interval="95 % interval",
    p50="p50, ms",
    p99="p99, ms",
    pss="PSS, MB",
    rss="RSS, MB",
    limit="limit",
    verdict="verdict",
)
NUMBERS = ("rate", "p50", "p99", "pss", "rss")
UNITS = {"rate": "requests/s", "p50": "ms p50", "p99": "ms p99", "pss": "MB PSS", "rss": "MB RSS"}
IN_WORDS = ("interval", "limit", "verdict")
STYLES = {"void": "red", "skipped": "yellow", "behind": "yellow"}
GAP = 2
INDENT = " " * 4
LEAST_VERDICT_COLUMNS = 28


def print_closing(summary: Summary, runs: Sequence[RunResult], out: Console, columns: int | None) -> None:
    """The table and the lines below it. ``columns`` None: no terminal, so that each row is one line.

    Nothing has a path. Without a terminal, no line ends with spaces.
    """
    rows = cell_rows(summary, runs)
    lines = [part for label, text in caveat_lines(summary, runs) for part in labelled(label, text, columns)]
    if columns is not None:
        out.print(*_table(rows, columns), sep="\n")
        out.print(Text("\n".join(["", *lines])), soft_wrap=True)
        return
    found = [*table_lines(_one_table(rows, WITHOUT_WRAPPING)), "", *lines]
    out.print(Text("\n".join(found)), soft_wrap=True)


def _table(rows: Sequence[CellRow], columns: int) -> Iterator[RenderableType]:
    widths = _widths(rows)
    names = [name for name in widths if name != "verdict"]
    if sum(widths[name] + GAP for name in names) + LEAST_VERDICT_COLUMNS <= columns:
        yield _one_table(rows, columns)
        return
    figures = [name for name in names if name not in IN_WORDS]
    if sum(widths[name] + GAP for name in figures) - GAP > columns:
        for row in rows:
            yield Text("\n".join(wrapped(_sentence(row), "", "  ", columns)), style=_style(row))
        return
    yield _one_row(TITLES, figures, widths, "bold")
    for row in rows:
        if row.rate:
            yield _one_row(row, figures, widths, _style(row))
            lines = wrapped(_in_words(row), INDENT, INDENT, columns)
        else:
            lines = wrapped(_in_words(row), _names(row, figures, widths), INDENT, columns)
        yield Text("\n".join(lines), style=_style(row))


def _one_table(rows: Sequence[CellRow], columns: int) -> Table:
    """All that is known of a cell in one row."""
    widths = _widths(rows)
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for name in widths:
        is_words = name == "verdict"
        table.add_column(
            Text(getattr(TITLES, name)),
            justify="right" if name in NUMBERS else "left",
            no_wrap=not is_words,
            min_width=min(widths[name], columns) if not is_words else None,
        )
    for row in rows:
        table.add_row(*(Text(getattr(row, name)) for name in widths), style=_style(row))
    return table


def _one_row(row: CellRow, names: Sequence[str], widths: dict[str, int], style: str) -> Table:
    """The columns ``names`` of one row; rows of the same widths stand in line."""
    table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    for name in names:
        right = "right" if name in NUMBERS else "left"
        table.add_column(justify=right, width=widths[name], no_wrap=True)  # type: ignore[arg-type]
    table.add_row(*(Text(getattr(row, name), style=style) for name in names))
    return table


def _names(row: CellRow, figures: Sequence[str], widths: dict[str, int]) -> str:
    """What a row begins with, as wide as in the rows that have figures."""
    parts = [
        f"{getattr(row, name)}{' ' * (widths[name] - cell_len(getattr(row, name)) + GAP)}"
        for name in figures
        if name not in NUMBERS
    ]
    return "".join(parts)


def _widths(rows: Sequence[CellRow]) -> dict[str, int]:
    """Of each column that says something, in their order."""
    widths = {}
    for field in dataclasses.fields(CellRow):
        if field.name == "tone":
            continue
        texts = [getattr(row, field.name) for row in rows]
        if any(texts):
            widths[field.name] = max(cell_len(text) for text in (*texts, getattr(TITLES, field.name)))
    return widths


def _in_words(row: CellRow) -> str:
    parts = [row.verdict]
    if row.interval:
        parts.append(f"95 % {row.interval}")
    if row.limit and row.limit != LIMITS["offered_rate"]:
        parts.append(f"limit: {row.limit}")
    return "; ".join(filter(None, parts))


def _sentence(row: CellRow) -> str:
    figures = [f"{getattr(row, name)} {unit}".rstrip() for name, unit in UNITS.items() if getattr(row, name)]
    name = " ".join(filter(None, (row.endpoint, row.server, row.load)))
    return f"{name}: {'; '.join(filter(None, (', '.join(figures), _in_words(row))))}"


def _style(row: CellRow) -> str:
    return STYLES.get(row.tone, "")
