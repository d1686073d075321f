"""Two results' folders -> one HTML page beside the second."""

from __future__ import annotations

import re
from pathlib import Path

from bench.results.comparison import Comparison, Measured
from bench.results.gate import Gate
from bench.results.store import Store
from reports.comparison.page import page_of
from reports.page.html import page_html


def read_measured(store: Store) -> Measured:
    """What a results' folder holds. Raises ResultError where it is missing, damaged or of another version."""
    return Measured(store.name, store.read_plan(), store.read_environment(), store.read_runs())


def open_results(root: Path, name: str) -> Store:
    """Results by their name below ``root``, else by the path of their folder.

    Raises UsageError if there are none by that name, ResultError if the folder holds none.
    """
    is_plain = re.fullmatch(r"[^./][^/]*", name) is not None
    if is_plain and (root / name / "plan.json").is_file():
        return Store.open(root, name)
    if Path(name).is_dir():
        return Store.at(Path(name).resolve())
    return Store.open(root, name)


def write_comparison(store_b: Store, comparison: Comparison, gate: Gate | None) -> Path:
    """Write ``compare-<A's name>.html`` beside B's results, whole or not at all; returns its path."""
    html = page_html(page_of(comparison, gate))
    return store_b.write_file(f"compare-{comparison.a.name}.html", html.encode())
