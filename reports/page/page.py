"""A page: a head and sections."""

from __future__ import annotations

from dataclasses import dataclass

from reports.page.section import Section


@dataclass(frozen=True)
class Page:
    """All that an HTML page says, as the template prints it."""

    title: str  # the browser's
    eyebrow: str  # what was measured, above the headline
    headline: str
    scope: str  # below the headline
    sections: tuple[Section, ...]
    made_with: str  # the last line
