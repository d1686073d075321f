"""Results -> one HTML file beside them. Reads nothing else, so it gives the same bytes anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment as Templates
from jinja2 import PackageLoader, StrictUndefined

from bench.environment.calibration import CALIBRATION_FILE, Calibration, load_calibration
from bench.plan.plan import Plan
from bench.results.result import RunResult, Summary
from bench.results.store import Store
from reports.page import Page, page_of
from reports.tables import cells_csv


def write_report(store: Store, plan: Plan, runs: Sequence[RunResult], summary: Summary) -> Path:
    """Write report.csv and report.html; returns the page's path.

    The hosts and their ceilings are read from the results' folder. Raises ResultError where hosts.json is
    missing or damaged.
    """
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
