"""report.html: one file that needs no other."""

from __future__ import annotations

from reports.exporters import Exporter
from reports.page.html import page_html
from reports.page.report import report_page
from reports.results import Results

REPORT_FILE = "report.html"


def _content(results: Results) -> bytes:
    return page_html(report_page(results)).encode()


EXPORTER = Exporter(REPORT_FILE, _content)
