"""The machine's own speed in the report: its section, chart and table."""

from __future__ import annotations

import re

from bench.results.summarise import summarise
from reports.charts.speed import machine_speed_figure
from reports.page.html import page_html
from reports.page.report import report_page
from reports.results import Results
from tests.helpers.results_example import QUICK, REVIEW, Example, example
from tests.helpers.speed_example import at_speeds


def page_of(made: Example) -> str:
    summary = summarise(made.plan, made.runs)
    return page_html(report_page(Results(made.plan, made.environment, summary, made.runs)))


def test_the_page_shows_each_runs_yardstick_and_how_far_it_moved() -> None:
    page = page_of(at_speeds(example(REVIEW), 4e-3, 5.2e-3))
    section = page.partition('id="machine"')[2].partition("</section>")[0].replace("\u00a0", " ")
    assert "In the slowest run it took 30 % longer than in the fastest" in section
    assert "against its cell’s median" in section
    assert len(re.findall(r">4\.00<", section)) > 20 and len(re.findall(r">5\.20<", section)) > 20


def test_every_run_has_a_point_in_the_order_made() -> None:
    made = at_speeds(example(REVIEW), 4e-3, 5.2e-3)
    figure = machine_speed_figure(made.runs)
    assert figure is not None
    (table,) = figure.tables
    assert [row.cells[0] for row in table.rows] == [str(number) for number in range(1, len(made.runs) + 1)]
    assert [row.cells[2] for row in table.rows[:2]] == ["4.00", "5.20"]
    assert str(figure.panels[0]).count("<circle") + str(figure.panels[0]).count("<rect") >= len(made.runs)


def test_single_runs_of_a_cell_are_not_held_against_themselves() -> None:
    figure = machine_speed_figure(at_speeds(example(QUICK), 4e-3, 5.2e-3).runs)
    assert figure is not None
    assert "CPU per request, against" not in str(figure.panels[0])


def test_without_a_yardstick_there_is_no_section() -> None:
    assert 'id="machine"' not in page_of(example(REVIEW))
    assert machine_speed_figure(at_speeds(example(QUICK), 4e-3).runs[:1]) is None
