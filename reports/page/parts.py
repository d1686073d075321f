"""What a section is made of. Each part is plain values; templates/parts.html.j2 has a macro for each.

The macro's name is the class's in lower case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reports.charts.panels import Figure
from reports.tables.table import Fact, Table
from reports.words.sentences import EndpointAnswer


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """``style`` is a class of style.css: "note" is small print, "pythons unlike" a warning in a frame."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Prose:
    """Text with markup of its own: templates/sections/``template``, which prints ``values``."""

    template: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """A point of a list, with what to do about it, if anything."""

    text: str
    remedy: str = ""
    is_bad: bool = False


@dataclass(frozen=True)
class Items:
    """A list of points. ``style`` is a class of style.css."""

    items: tuple[Item, ...]
    style: str = "cautions"


@dataclass(frozen=True)
class Preformatted:
    """A command, printed as it is."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Names with their values. ``is_bad``: they are printed in red."""

    facts: tuple[Fact, ...]
    is_bad: bool = False


@dataclass(frozen=True)
class Answers:
    """The answer on each endpoint, as large as a heading."""

    answers: tuple[EndpointAnswer, ...]


@dataclass(frozen=True)
class Folded:
    """Tables side by side that are shown when the reader opens them."""

    summary: str
    tables: tuple[Table, ...]


Part = Heading | Paragraph | Prose | Items | Preformatted | Facts | Answers | Folded | Table | Figure


def points(sentences: Sequence[str], style: str = "cautions") -> Items:
    """Sentences as a list."""
    return Items(tuple(Item(sentence) for sentence in sentences), style)
