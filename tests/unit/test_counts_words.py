"""Counts that are made of one another are not shown as independent."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.results.run import RunResult
from bench.results.summarise import summarise
from reports.render import write_report
from reports.tables.runs import runs_table
from tests.helpers.program import ROOT
from tests.helpers.results_example import QUICK, Example, example


def page(made: Example, folder: Path) -> str:
    store = made.save(folder)
    return write_report(store, made.plan, made.runs, summarise(made.plan, made.runs)).read_text()


def test_the_runs_table_says_which_counts_are_independent() -> None:
    table = runs_table(example(QUICK).runs)
    assert "Counted by the app" in [column.title for column in table.columns]
    assert "Two of them are independent: what the app counted itself, and what the engine saw" in table.note
    assert "Locust’s count and the spool’s are made of the engine’s figures" in table.note


def test_the_page_says_how_often_app_and_engine_agree(tmp_path: Path) -> None:
    made = example(QUICK)
    assert "agree in 9 of 9 runs; Locust’s and the spool’s are made of the engine’s" in page(
        made, tmp_path / "a"
    )

    def doubled(run: RunResult) -> RunResult:
        counts = msgspec.structs.replace(run.counts, server=2 * run.counts.engine)
        return msgspec.structs.replace(run, counts=counts)

    one = made.changed(lambda run: run.position == 0, doubled)
    assert "agree in 8 of 9 runs" in page(one, tmp_path / "b")


def test_the_readme_claims_two_counts_and_no_more() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    assert "whether the app counted as many requests as the engine" in text
    assert "are made of the engine's figures" in text
