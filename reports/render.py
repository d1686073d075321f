"""Results -> the files beside them. Nothing else is read, so they are the same bytes anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.plan.plan import Plan
from bench.results.run import RunResult
from bench.results.store import Store
from bench.results.summary import Summary
from reports.exporters import EXPORTERS
from reports.exporters.html import REPORT_FILE
from reports.results import results_of


def write_report(store: Store, plan: Plan, runs: Sequence[RunResult], summary: Summary) -> Path:
    """Write what every exporter makes of a benchmark; returns the path of report.html.

    The hosts and their ceilings are read from the results' folder. Raises ResultError where hosts.json is
    missing or damaged.
    """
    results = results_of(store, plan, runs, summary)
    for exporter in EXPORTERS:
        store.write_file(exporter.file_name, exporter.content(results))
    return store.directory / REPORT_FILE
