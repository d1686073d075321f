"""Results -> the files beside them. Nothing else is read, so they are the same bytes anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.plan.plan import Plan
from bench.results.result import RunResult, Summary
from bench.results.store import Store
from bench.results.summary import added_warnings, summarise
from reports.exporters import EXPORTERS
from reports.exporters.html import REPORT_FILE
from reports.page.html import page_html
from reports.page.report import report_page
from reports.results import results_of


def render(store_directory: Path) -> str:
    """The report of one results' folder. Raises ResultError if the folder is incomplete or damaged."""
    store = Store.at(store_directory)
    plan, runs = store.read_plan(), store.read_runs()
    return page_html(report_page(results_of(store, plan, runs, _summary(store, plan, runs))))


def write_report(store: Store) -> Path:
    """Write summary.json and what every exporter makes; returns the path of report.html.

    Warnings that a summary.json already there has, beside those that runs and plan give, are kept.
    """
    plan, runs = store.read_plan(), store.read_runs()
    summary = _summary(store, plan, runs)
    store.write_summary(summary)
    results = results_of(store, plan, runs, summary)
    for exporter in EXPORTERS:
        store.write_file(exporter.file_name, exporter.content(results))
    return store.directory / REPORT_FILE


def _summary(store: Store, plan: Plan, runs: Sequence[RunResult]) -> Summary:
    if not (store.directory / "summary.json").is_file():
        return summarise(plan, runs)
    return summarise(plan, runs, added_warnings(store.read_summary()))
