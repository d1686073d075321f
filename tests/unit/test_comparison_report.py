"""invoke compare: what it prints, its page, its exit codes."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bench.errors import GateFailed, GateUndecided, ResultError, UsageError
from bench.results.comparison import Comparison, compare
from bench.results.gate import gate, gate_error
from bench.results.run import RunResult
from reports.comparison.page import page_of
from reports.comparison.terminal import comparison_lines
from reports.comparison.write import open_results, read_measured, write_comparison
from reports.page.page import Page
from reports.page.parts import Answers, Items
from reports.tables.table import Table, TableRow
from reports.words.sentences import EndpointAnswer
from tests.helpers.comparison_example import measured, other, scaled
from tests.helpers.results_example import QUICK, RATED, Example, environment, example, failing, is_cell

ROOT = Path(__file__).resolve().parents[2]


def on_a_mac(made: Example, python: str = "3.13.1") -> Example:
    there = environment("Darwin", shared_host=True)
    facts = {name: dataclasses.replace(one, python_version=python) for name, one in there.facts.items()}
    return replace(made, environment=msgspec.structs.replace(there, facts=facts))


def mixed() -> Comparison:
    """One faster cell that makes a flip, one slower, one invalid, on other hosts with another Python."""
    later = scaled(other("cloud"), 1.6, is_cell("hypercorn", "shortbody"))
    later = scaled(later, 0.8, is_cell("uvicorn", "orders"))
    return compare(measured(example()), measured(on_a_mac(failing(later, "daphne", "orders"))))


def rows_of(page: Page, caption: str) -> tuple[TableRow, ...]:
    parts = [part for section in page.sections for part in section.parts]
    (found,) = (part for part in parts if isinstance(part, Table) and part.caption == caption)
    return found.rows


def answers_of(page: Page) -> tuple[EndpointAnswer, ...]:
    (found,) = (part for part in page.sections[0].parts if isinstance(part, Answers))
    return found.answers


def notes_of(page: Page) -> list[str]:
    lists = [part for part in page.sections[0].parts if isinstance(part, Items)]
    return [item.text for item in lists[-1].items]


def text_of(lines: list[str]) -> str:
    return re.sub(r"\s+", " ", " ".join(lines))


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 160])
def test_no_line_is_wider_than_the_terminal_and_every_ratio_is_there(width: int) -> None:
    found = mixed()
    lines = comparison_lines(found, gate(found, 0.05), width)
    assert max(map(len, lines)) <= width
    said = text_of(lines)
    for part in ("1.63 [1.60, 1.65]", "0.79 [0.77, 0.82]", "invalid in B", "flips on shortbody"):
        assert part in said
    assert said.count("~") >= 15
    assert "Worse by more than 5 %: uvicorn orders, requests/s 0.79" in said


def test_unlike_pythons_stand_before_the_first_ratio() -> None:
    lines = comparison_lines(mixed(), None, 100)
    said = text_of(lines)
    assert "Unlike Pythons: the server on CPython 3.11.2 in A and on CPython 3.13.1 in B" in said
    assert said.index("Unlike Pythons") < said.index("uvicorn")
    alike = text_of(comparison_lines(compare(measured(example()), measured(other())), None, 100))
    assert "The same Pythons in A and B: server CPython 3.11.2" in alike


def test_what_differs_in_the_fingerprints_is_named_and_what_does_not_is_left_out() -> None:
    page = page_of(mixed())
    hosts = {row.cells[0]: row.cells[1:] for row in rows_of(page, "Hosts")}
    assert hosts["Server and load: CPU"] == ("AMD EPYC 9B14 (x86_64)", "Apple M4 (arm64)")
    assert hosts["Server and load: Kernel"] == ("Linux 6.1.0-28-amd64", "Darwin 25.1.0")
    assert hosts["Load on the server’s own host"] == ("no", "yes")
    assert not [title for title in hosts if "Clock" in title]
    base = other()
    newer = {"lab-server": {"server-uvicorn": {"uvicorn": "0.60.0", "uvloop": "0.22.1"}}}
    changed = replace(base, environment=msgspec.structs.replace(base.environment, versions=newer))
    software = {
        row.cells for row in rows_of(page_of(compare(measured(example()), measured(changed))), "Software")
    }
    assert ("uvicorn in server-uvicorn", "0.54.0", "0.60.0") in software
    assert not [cells for cells in software if cells[0] == "uvloop in server-uvicorn"]


def test_one_run_each_claims_nothing() -> None:
    found = compare(measured(example(QUICK)), measured(scaled(other(profile=QUICK), 3)))
    page, said = page_of(found), text_of(comparison_lines(found, None, 80))
    assert "no interval in 9" in page.headline and "faster" not in page.headline
    assert "3.00 (no interval)" in said and " better" not in said
    assert "can’t be told without intervals" in said and "--profile review" in said
    assert {one.tone for one in answers_of(page)} == {"open"}


def test_an_invalid_cell_is_shown_with_its_reason_and_no_figure() -> None:
    page = page_of(mixed())
    row = next(row for row in rows_of(page, "B over A") if row.cells[0] == "daphne (invalid)")
    assert row.tone == "refused" and row.cells[1:] == ("invalid", "–", "–", "–", "–")
    refusals = [text for one in answers_of(page) for text in one.refusals]
    assert len(refusals) == 1 and "invalid in B" in refusals[0] and "HTTP 500" in refusals[0]


def test_stated_rates_have_groups_of_their_own() -> None:
    page = page_of(compare(measured(example(RATED)), measured(other(profile=RATED))))
    labels = [row.cells[0] for row in rows_of(page, "B over A") if row.tone == "group"]
    assert "shortbody at 500 requests/s" in labels and len(labels) == 12
    assert any("unlike loads" in note for note in notes_of(page))


def test_a_difference_just_beyond_noise_shows_on_which_side_of_1_it_lies() -> None:
    def slightly(run: RunResult) -> RunResult:
        return msgspec.structs.replace(run, requests_per_second=(1_000 + run.block / 100) * 1.004)

    def level(run: RunResult) -> RunResult:
        return msgspec.structs.replace(run, requests_per_second=1_000 + run.block / 100)

    every = compare(
        measured(example().changed(lambda _: True, level)),
        measured(other().changed(lambda _: True, slightly)),
    )
    assert rows_of(page_of(every), "B over A")[1].cells[1] == "1.004 [1.004, 1.004]"


def test_the_gates_errors() -> None:
    found = mixed()
    failed = gate_error(gate(found, 0.05))
    assert isinstance(failed, GateFailed) and "uvicorn orders (requests/s)" in failed.message
    undecided = gate_error(gate(found, 0.5))
    assert isinstance(undecided, GateUndecided) and "daphne orders" in undecided.message
    same = compare(measured(example()), measured(other()))
    assert gate_error(gate(same, 0.15)) is None
    # Its p99 is spread by 5 %: that it isn't worse by more than that can't be told.
    unsettled = gate_error(gate(same, 0.05))
    assert isinstance(unsettled, GateUndecided)
    assert "daphne orders (p99)" in unsettled.message and "requests/s" not in unsettled.message
    assert re.fullmatch(r"Measure both with about \d+ more blocks, or allow more", unsettled.remedy)


def test_results_are_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = example(QUICK, name="one").save(tmp_path / "results")
    (tmp_path / "one").mkdir()  # a folder of that name is no results
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("one", "results/one", str(saved.directory)):
        assert open_results(tmp_path / "results", name).directory.resolve() == saved.directory
    with pytest.raises(ResultError, match="holds no results"):
        open_results(tmp_path / "results", "empty")
    with pytest.raises(UsageError, match="one"):
        open_results(tmp_path / "results", "another")


def test_the_page_is_one_file_of_the_same_bytes_and_nothing_is_left_half_written(tmp_path: Path) -> None:
    store = other("b").save(tmp_path)
    found = compare(measured(example(name="a")), read_measured(store))
    first = write_comparison(store, found, None)
    before = first.read_bytes()
    assert first.name == "compare-a.html" and write_comparison(store, found, None).read_bytes() == before
    assert not [path for path in store.directory.iterdir() if path.name.startswith(".")]
    assert not re.findall(rb"(?:src|href)=\"(?!#|data:)[^\"]*", before)


def invoked(results: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "invoke", "compare", *words, "--results", str(results)]
    environ = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_command_its_last_line_and_its_exit_codes(tmp_path: Path) -> None:
    example(name="a").save(tmp_path)
    scaled(other("b"), 0.8, is_cell("uvicorn", "orders")).save(tmp_path)
    example(QUICK, name="once").save(tmp_path)

    compared = invoked(tmp_path, "a", str(tmp_path / "b"))
    assert (compared.returncode, compared.stderr) == (0, "")
    assert compared.stdout.splitlines()[-1] == str(tmp_path / "b" / "compare-a.html")

    failed = invoked(tmp_path, "a", "b", "--fail-over", "5%")
    assert failed.returncode == 61 and "uvicorn orders (requests/s)" in failed.stderr
    assert failed.stdout.splitlines()[-1].endswith("compare-a.html")

    unlike = invoked(tmp_path, "a", "once")
    assert unlike.returncode == 51 and "window seconds: 20 in a (A), 6 in once (B)" in unlike.stderr
    assert not unlike.stdout and not (tmp_path / "once" / "compare-a.html").exists()

    wrong = invoked(tmp_path, "a", "b", "--fail-over", "five")
    assert wrong.returncode == 2 and "--fail-over 5%" in wrong.stderr


def test_results_of_another_version_are_refused_in_words(tmp_path: Path) -> None:
    store = example(QUICK, name="old").save(tmp_path)
    plan = json.loads((store.directory / "plan.json").read_text())
    (store.directory / "plan.json").write_text(json.dumps({**plan, "version": 0}))
    with pytest.raises(ResultError, match="is of version 0; this asgibench reads version 1") as caught:
        read_measured(store)
    assert "measure again" in caught.value.remedy


def test_a_comparison_without_a_valid_cell_has_a_page_all_the_same() -> None:
    """As of two benchmarks on a laptop whose other programs held every run up."""
    void = example(QUICK).changed(
        lambda run: True, lambda run: msgspec.structs.replace(run, valid=False, reasons=())
    )
    found = compare(measured(void), measured(void))
    assert not found.valid_cells
    assert page_of(found).sections
