"""The sections of the report, one file each: a heading, an anchor, a place, and what makes its parts.

To add one, add its file with a constant ``SECTION``; page and contents follow.
"""

from __future__ import annotations

from reports.page.section import SectionSpec
from reports.registry import found_in

SECTIONS = tuple(sorted(found_in(__name__, "SECTION", SectionSpec), key=lambda spec: spec.place))
"""All of them, in the order of the page."""
