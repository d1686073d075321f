"""A results' folder -> one HTML file. Reads nothing else, so it gives the same bytes anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from jinja2 import Environment as Templates
from jinja2 import PackageLoader, StrictUndefined

from bench.environment.calibration import CALIBRATION_FILE, Calibration, load_calibration
from bench.plan.plan import Plan
from bench.results.result import RunResult, Summary
from bench.results.store import Store
from bench.results.summary import DERIVED_WARNINGS, summarise
from reports.page.report import Page, page_of
from reports.tables.table import cells_csv


def render(store_directory: Path) -> str:
    """The report of one results' folder. Raises ResultError if the folder is incomplete or damaged."""
    store = Store.at(store_directory)
    plan, runs = store.read_plan(), store.read_runs()
    return page_html(
        page_of(plan, store.read_environment(), _summary(store, plan, runs), runs, _calibration(store))
    )


def write_report(store: Store) -> Path:
    """Write summary.json, report.csv and report.html; returns the report's path.

    Warnings that a summary.json already there has, beside those that runs and plan give, are kept.
    """
    plan, runs = store.read_plan(), store.read_runs()
    summary = _summary(store, plan, runs)
    store.write_summary(summary)
    store.write_file("report.csv", cells_csv(summary).encode())
    html = page_html(page_of(plan, store.read_environment(), summary, runs, _calibration(store)))
    return store.write_file("report.html", html.encode())


def _calibration(store: Store) -> Calibration | None:
    """The ceilings that were known when the benchmark ran; None where none were."""
    path = store.directory / CALIBRATION_FILE
    return load_calibration(path) if path.exists() else None


def page_html(page: Page) -> str:
    return rendered("report.html.j2", page)


def rendered(template: str, page: object) -> str:
    """A template with its ``page``, whose fields are all that it prints."""
    templates = Templates(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template(template).render(page=page)


def _unbroken(value: object) -> object:
    """Keep a figure and its unit on one line. Markup is left as it is."""
    if type(value) is not str:
        return value
    return re.sub(r"(?<=\d) (?=(?:%|ms|s|MB|GB|kB|blocks?)(?:\W|$))", "\u00a0", value)


def _summary(store: Store, plan: Plan, runs: Sequence[RunResult]) -> Summary:
    summary = summarise(plan, runs)
    if not (store.directory / "summary.json").is_file():
        return summary
    added = [reason for reason in store.read_summary().warnings if reason.code not in DERIVED_WARNINGS]
    return msgspec.structs.replace(summary, warnings=(*summary.warnings, *added))
