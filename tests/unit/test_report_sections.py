"""Sections and exporters are found by their files, and the page shows each part of each section."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from bench.results.run import RunResult
from bench.results.summarise import summarise
from reports.charts.panels import Figure
from reports.exporters import EXPORTERS
from reports.page.html import page_html
from reports.page.page import Page
from reports.page.parts import Item, Items, Paragraph, Part, Prose
from reports.page.report import report_page
from reports.page.section import Section
from reports.registry import found_in
from reports.results import Results
from reports.sections import SECTIONS
from tests.helpers.results_example import (
    PAPER,
    QUICK,
    RATED,
    Example,
    example,
    failing,
    is_cell,
    papers_method,
)

TEMPLATES = Path(__file__).resolve().parents[2] / "reports" / "templates"


def results_of(made: Example) -> Results:
    return Results(made.plan, made.environment, summarise(made.plan, made.runs), made.runs)


def shown(*parts: Part) -> str:
    """The HTML of these parts, as the only section of a page."""
    html = page_html(Page("", "", "", "", (Section("one", "One", parts, "1"),), ""))
    return html.partition("<h2>One</h2>")[2].partition("</section>")[0].strip()


def test_sections_have_anchors_and_places_of_their_own() -> None:
    assert len({spec.id for spec in SECTIONS}) == len(SECTIONS)
    places = [spec.place for spec in SECTIONS]
    assert places == sorted(set(places))
    assert (SECTIONS[0].id, SECTIONS[-1].id) == ("answer", "runs")


def test_each_exporter_writes_a_file_of_its_own() -> None:
    names = [exporter.file_name for exporter in EXPORTERS]
    assert {"report.html", "report.csv"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("profile", [QUICK, RATED, PAPER], ids=lambda profile: profile.name)
def test_contents_and_page_hold_the_same_sections_in_order(profile: object) -> None:
    made = papers_method() if profile is PAPER else example(RATED if profile is RATED else QUICK)
    page = report_page(results_of(made))
    html = page_html(page)
    expected = [section.id for section in page.sections]
    contents = html.partition("<nav")[2].partition("</nav>")[0]
    assert re.findall(r'href="#([^"]+)"', contents) == expected
    assert re.findall(r'<section id="([^"]+)"', html) == expected
    assert ("rates" in expected) == (profile is RATED)
    assert ("method-of-paper" in expected) == (profile is PAPER)


def test_every_kind_of_part_has_a_macro() -> None:
    macros = re.findall(r"{% macro (\w+)\(", (TEMPLATES / "parts.html.j2").read_text())
    assert sorted(macros) == sorted(kind.__name__.lower() for kind in get_args(Part))


def test_parts_escape_what_they_are_given_and_prose_keeps_its_markup() -> None:
    assert shown(Paragraph("<b> & 5 %", "note")) == '<p class="note">&lt;b&gt; &amp; 5\u00a0%</p>'
    said = shown(Items((Item("One.", "Do <this>."), Item("Two.", is_bad=True))))
    assert '<li>One. <span class="remedy">Do &lt;this&gt;.</span></li>' in said
    assert '<li class="bad">Two.</li>' in said
    prose = shown(Prose("data.html.j2", {"name": "<i>"}))
    assert '<a href="plan.json">plan.json</a>' in prose and "<i>" not in prose


def test_a_file_is_enough_for_one_more_and_one_without_its_constant_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_sections"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "b.py").write_text("ONE = 2\n")
    (package / "a.py").write_text("ONE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert found_in("some_sections", "ONE", int) == (1, 2)
        (package / "c.py").write_text("ANOTHER = 3\n")
        with pytest.raises(TypeError, match=r"some_sections\.c has no ONE of type int"):
            found_in("some_sections", "ONE", int)
    finally:
        for name in [name for name in sys.modules if name.startswith("some_sections")]:
            del sys.modules[name]


def section_of(made: Example, name: str) -> Section | None:
    return next((one for one in report_page(results_of(made)).sections if one.id == name), None)


def test_cpu_per_request_has_every_valid_run_and_the_cores_that_a_rate_takes() -> None:
    def costs(run: RunResult) -> RunResult:
        return msgspec.structs.replace(run, cpu_seconds_per_request=(60 + run.block) * 1e-6)

    made = failing(example(), "daphne", "shortbody").changed(is_cell("uvicorn", "shortbody"), costs)
    section = section_of(made, "cpu")
    assert section is not None
    figure = section.parts[1]
    assert isinstance(figure, Figure)
    rows = {row.cells[0]: row.cells[1:] for row in figure.tables[0].rows}
    assert rows["uvicorn"][:2] == ("63", "0.063")
    assert sorted(rows["uvicorn"][2].split("; ")) == ["61", "62", "63", "64", "65"]
    assert rows["daphne (refused)"] == ("–", "–", "–")
    assert str(figure.panels[0]).count('class="mark open ink"') == 10, "five of uvicorn, five of hypercorn"


def test_without_cpu_figures_there_is_no_such_section() -> None:
    unknown = example(QUICK).changed(
        lambda run: True, lambda run: msgspec.structs.replace(run, cpu_seconds_per_request=None)
    )
    assert section_of(unknown, "cpu") is None
    assert section_of(example(QUICK), "cpu") is not None
