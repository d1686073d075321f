"""Two benchmarks on a machine that was faster in one of them: ratios as measured, and at one speed."""

from __future__ import annotations

import re

import msgspec
import pytest

from bench.judge.reason import Limit
from bench.results.at_one_speed import SPEED_METRICS, ratios_at_one_speed
from bench.results.comparison import CellComparison, Comparison, compare
from bench.results.run import RunResult
from reports.comparison.page import page_of
from reports.comparison.terminal import comparison_lines
from reports.page.parts import Paragraph
from reports.tables.table import Table
from tests.helpers.comparison_example import measured, other
from tests.helpers.results_example import Example, example, is_cell
from tests.helpers.speed_example import at_speeds


def slowed(made: Example, factor: float) -> Example:
    """As on a machine on which everything takes ``factor`` times as long."""

    def slow(run: RunResult) -> RunResult:
        cost = run.cpu_seconds_per_request
        return msgspec.structs.replace(
            run,
            requests_per_second=run.requests_per_second / factor,
            cpu_seconds_per_request=None if cost is None else cost * factor,
        )

    return made.changed(lambda _: True, slow)


def compared(seconds_a: float = 4e-3, seconds_b: float = 6e-3) -> Comparison:
    """B on a machine that takes half as long again, and a yardstick that took so long."""
    later = slowed(other(), 1.5)
    return compare(measured(at_speeds(example(), seconds_a)), measured(at_speeds(later, seconds_b)))


def cell_of(comparison: Comparison, server: str, endpoint: str) -> CellComparison:
    (found,) = (one for one in comparison.cells if (one.cell.server, one.cell.endpoint) == (server, endpoint))
    return found


def text_of(comparison: Comparison) -> str:
    return re.sub(r"\s+", " ", " ".join(comparison_lines(comparison, None, 100)))


def test_what_the_machine_did_goes_out_of_the_ratios_and_the_measured_ones_stay() -> None:
    cell = cell_of(compared(), "uvicorn", "shortbody")
    assert cell.ratios[0].median == pytest.approx(1 / 1.5, rel=0.05)
    by_name = {ratio.metric.name: ratio for ratio in cell.at_one_speed}
    assert list(by_name) == [metric.name for metric in SPEED_METRICS]
    for ratio in by_name.values():
        assert ratio.median == pytest.approx(1.0, rel=0.05)
        assert ratio.low is not None and ratio.high is not None and ratio.low < 1.0 < ratio.high


def test_requests_of_a_cell_that_the_cpu_does_not_limit_are_not_corrected() -> None:
    corrected = cell_of(compared(), "uvicorn", "orders").at_one_speed
    assert corrected[0].metric.name == "requests_per_second" and corrected[0].median is None
    assert corrected[1].metric.name == "cpu_seconds_per_request" and corrected[1].median is not None


def test_without_every_runs_yardstick_there_is_no_corrected_ratio() -> None:
    read, older = at_speeds(example(), 4e-3), example()
    found = compare(measured(read), measured(slowed(other(), 1.5)))
    assert found.speed is None
    assert all(not cell.at_one_speed for cell in found.cells)
    assert "isn’t known of both: no correction" in text_of(found)
    cell = cell_of(found, "uvicorn", "shortbody")
    runs = [run for run in read.runs if is_cell("uvicorn", "shortbody")(run)]
    some = [run for run in older.runs if is_cell("uvicorn", "shortbody")(run)][:1]
    assert not ratios_at_one_speed(cell.a, cell.b, runs, [*runs, *some])
    assert len(ratios_at_one_speed(cell.a, cell.b, runs, runs)) == len(SPEED_METRICS)


def test_the_terminal_says_how_far_the_speeds_differed_and_both_ratios() -> None:
    said = text_of(compared())
    assert "took 4.00 ms in A and 6.00 ms in B: B’s machine was 50 % slower" in said
    assert re.search(
        r"on shortbody at one speed of the machine: ~1\.0\d \[.+?\] in place of 0\.6\d \(uvicorn\)",
        said,
    )
    assert "B’s machine was 50 % faster" in text_of(compared(6e-3, 4e-3))
    assert "the machines were equally fast" in text_of(compared(4e-3, 4.04e-3))


def test_the_page_has_both_ratios_side_by_side() -> None:
    page = page_of(compared())
    (section,) = (one for one in page.sections if one.id == "ratios")
    (table,) = (part for part in section.parts if isinstance(part, Table) and "at one speed" in part.caption)
    row = next(row for row in table.rows if row.cells[0] == "uvicorn")
    assert row.cells[1].startswith("0.6") and row.cells[2].startswith("~1.0")
    assert any(isinstance(part, Paragraph) and "50 % slower" in part.text for part in section.parts)
    bare = page_of(compare(measured(example()), measured(other())))
    assert not [
        part
        for one in bare.sections
        for part in one.parts
        if isinstance(part, Table) and "at one speed" in part.caption
    ]


def test_a_limit_that_is_the_servers_in_one_of_them_alone_corrects_nothing() -> None:
    later = slowed(other(), 1.5).changed(
        is_cell("uvicorn", "shortbody"),
        lambda run: msgspec.structs.replace(run, limit=Limit("latency", "it waits")),
    )
    found = compare(measured(at_speeds(example(), 4e-3)), measured(at_speeds(later, 6e-3)))
    assert cell_of(found, "uvicorn", "shortbody").at_one_speed[0].median is None
