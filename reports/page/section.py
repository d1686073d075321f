"""A section of the report: its heading, its place, and what makes its parts from the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reports.page.parts import Part
from reports.results import Results


@dataclass(frozen=True)
class Section:
    """One section of a page, as the template prints it."""

    id: str  # its anchor: links from elsewhere point to it
    title: str
    parts: tuple[Part, ...]
    navigation: str  # its title in the list of contents
    is_long: bool = False  # in print it may break across pages


@dataclass(frozen=True)
class SectionSpec:
    """One section of the report. A section without parts is left out of the page and its contents."""

    id: str
    title: str
    place: int  # sections stand in the order of these numbers, each its own
    parts: Callable[[Results], Sequence[Part]]
    navigation: str = ""  # where it is shorter than the title
    is_long: bool = False

    def of(self, results: Results) -> Section:
        parts = tuple(self.parts(results))
        return Section(self.id, self.title, parts, self.navigation or self.title, self.is_long)
