"""The files that are written beside the results: one module for each.

To add one, add its module with a constant ``EXPORTER``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reports.registry import found_in
from reports.results import Results


@dataclass(frozen=True)
class Exporter:
    """A file that is made from the results alone: the same results give the same bytes."""

    file_name: str
    content: Callable[[Results], bytes]


EXPORTERS = found_in(__name__, "EXPORTER", Exporter)
