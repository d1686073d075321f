"""What is written beside the results, one file an exporter.

To add one, add its file with a constant ``EXPORTER``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reports.registry import found_in
from reports.results import Results


@dataclass(frozen=True)
class Exporter:
    """One file of a benchmark. The same results give the same bytes."""

    file_name: str
    content: Callable[[Results], bytes]


EXPORTERS = found_in(__name__, "EXPORTER", Exporter)
