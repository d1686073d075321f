"""A table of plain text cells, and a fact, which is a name with its value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.results.summary import CellSummary


@dataclass(frozen=True)
class Column:
    title: str
    is_number: bool = False


@dataclass(frozen=True)
class TableRow:
    """The first cell is the row's heading. ``tone``: "", "refused", "muted" or "settled".

    A row of tone "group" has one cell, which heads the rows below it.
    """

    cells: tuple[str, ...]
    tone: str = ""


@dataclass(frozen=True)
class Table:
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    note: str = ""
    style: str = ""  # its class in style.css: how a page lays it out


def words(*titles: str) -> tuple[Column, ...]:
    return tuple(Column(title) for title in titles)


def numbers(*titles: str) -> tuple[Column, ...]:
    return tuple(Column(title, is_number=True) for title in titles)


def named(cell: CellSummary) -> str:
    """The server's name. A refused cell is named so in words, because colour alone is not enough."""
    return cell.server if cell.valid else f"{cell.server} (refused)"


def group(label: str) -> TableRow:
    return TableRow((label,), "group")


def tone(cell: CellSummary) -> str:
    return "" if cell.valid else "refused"


@dataclass(frozen=True)
class Fact:
    name: str
    value: str


def facts_of(values: Mapping[str, str]) -> tuple[Fact, ...]:
    return tuple(Fact(name, value) for name, value in sorted(values.items()))
