"""A try that the machine spoilt and that was made again: its figures and the reason stay, and never count."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from bench.errors import LoadError, ResultError
from bench.judge.judge import MACHINE_REASONS
from bench.judge.reason import Reason
from bench.results.run import RunResult
from bench.results.store import Store
from bench.results.summarise import summarise
from reports.render import write_report
from reports.tables.runs import runs_table
from reports.terminal.closing import print_closing
from reports.terminal.progress import Progress
from reports.words.attempts import measured_again
from tests.helpers.plan_bed import PLAN, RESULTS, Bed
from tests.helpers.results_example import QUICK, Example, example

WHY = "other programs took 0.64 of the 1 core that the server may use"
NOISE = Reason(sorted(MACHINE_REASONS)[0], WHY, "Stop what else runs", invalidates=True)
FIRST = PLAN.runs[0]
COUNTS = RESULTS[FIRST.id]


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    return Bed(Store.create(tmp_path, PLAN.name, PLAN), monkeypatch)


def spoilt(run: RunResult = COUNTS) -> RunResult:
    remark = Reason("Remark", "a remark")
    return msgspec.structs.replace(
        run, attempt=1, valid=False, requests_per_second=18_400.0, reasons=(remark, NOISE)
    )


def kept(bed: Bed) -> RunResult:
    return bed.store.read_runs()[0]


def test_the_first_try_stays_with_its_figures_and_its_reason_in_the_run_that_counts(bed: Bed) -> None:
    bed.results = [spoilt(), msgspec.structs.replace(COUNTS, attempt=2)]
    (outcome,) = bed.outcomes(1)
    assert outcome.result is not None and outcome.result.valid
    assert kept(bed) == outcome.result
    (earlier,) = kept(bed).earlier_attempts
    assert (earlier.attempt, earlier.requests_per_second, earlier.why) == (1, 18_400.0, WHY)
    assert earlier.reasons[0] == NOISE and len(earlier.reasons) == 2
    assert earlier.p99_seconds == COUNTS.latency_seconds.p99  # type: ignore[union-attr]


def test_the_whole_first_try_is_on_disk_and_is_no_run(bed: Bed) -> None:
    bed.results = [spoilt(), msgspec.structs.replace(COUNTS, attempt=2)]
    assert len(list(bed.outcomes(1))) == 1
    assert bed.store.read_attempts(FIRST.id) == (spoilt(),)
    assert bed.store.read_attempts("another") == ()
    assert bed.store.done_run_ids() == {FIRST.id}
    assert [run.attempt for run in bed.store.read_runs()] == [2]


def test_a_benchmark_that_is_interrupted_between_two_tries_has_no_third(bed: Bed) -> None:
    bed.results = [spoilt()]
    bed.failures = [None, LoadError("interrupted"), None]
    (lost,) = bed.outcomes(1)
    assert lost.result is None
    assert bed.store.done_run_ids() == frozenset()
    bed.store.discard()
    # Gone on with: the next try is the second, and stands, whatever it shows.
    bed.results = [msgspec.structs.replace(spoilt(), attempt=2)]
    (outcome,) = bed.outcomes(1)
    assert outcome.result is not None and not outcome.result.valid
    assert [one.number for one in bed.attempts] == [1, 2, 2]
    assert [one.requests_per_second for one in kept(bed).earlier_attempts] == [18_400.0]


def test_a_try_that_failed_is_kept_without_figures(bed: Bed) -> None:
    bed.failures = [LoadError("load worker one/0 was lost")]
    bed.results = [msgspec.structs.replace(COUNTS, attempt=2)]
    assert len(list(bed.outcomes(1))) == 1
    (earlier,) = kept(bed).earlier_attempts
    assert (earlier.requests_per_second, earlier.why) == (None, "load worker one/0 was lost")
    assert measured_again(kept(bed)) == "tried again, because try 1 failed: load worker one/0 was lost"


def test_a_saved_try_that_was_altered_is_refused(bed: Bed) -> None:
    bed.store.write_attempt(spoilt(), {})
    path = bed.store.attempts_directory / f"{FIRST.id}-1" / "run.json"
    path.write_bytes(path.read_bytes().replace(b"18400", b"28400"))
    with pytest.raises(ResultError, match="checksum"):
        bed.store.read_attempts(FIRST.id)


def repeated() -> Example:
    """Two runs whose second try counts."""
    made = example(QUICK)
    ids = {run.id for run in made.plan.runs[:2]}
    return made.changed(
        lambda run: run.run_id in ids,
        lambda run: msgspec.structs.replace(
            run,
            attempt=2,
            earlier_attempts=(
                msgspec.structs.replace(
                    spoilt(run), requests_per_second=run.requests_per_second * (0.5 + run.position / 4)
                ).as_earlier_attempt(),
            ),
        ),
    )


def test_the_benchmark_says_how_the_first_tries_compare_with_those_that_count() -> None:
    made = repeated()
    (said,) = [one for one in summarise(made.plan, made.runs).warnings if one.code == "measured_again"]
    assert said.text.startswith("2 of 9 runs were measured again, because their first try was void")
    assert "0.50 to 0.75 times the requests/s of the try that counts" in said.text
    assert not [one for one in summarise(PLAN, example(QUICK).runs).warnings if one.code == "measured_again"]


def test_the_runs_table_has_both_tries_and_the_page_says_why(tmp_path: Path) -> None:
    made = repeated()
    rows = runs_table(made.runs).rows
    assert len(rows) == len(made.runs) + 2
    first = made.runs[0]
    earlier, counts = rows[0], rows[1]
    assert earlier.cells[0] == f"{first.run_id} (attempt 1, doesn’t count)"
    assert counts.cells[0] == f"{first.run_id} (attempt 2)"
    assert (earlier.tone, len(earlier.cells)) == ("refused", len(counts.cells))
    assert WHY in earlier.cells[-1]
    assert f"measured again, because try 1 was void: {WHY}; that try had" in counts.cells[-1]
    store = made.save(tmp_path)
    page = write_report(store, made.plan, made.runs, summarise(made.plan, made.runs)).read_text()
    assert "measured again, because try 1 was void" in page
    assert "runs were measured again, because their first try was void" in page


def test_the_terminal_has_both_figures() -> None:
    made = repeated()
    out = io.StringIO()
    summary = summarise(made.plan, made.runs)
    print_closing(summary, made.runs, Console(file=out, width=200), None)
    first = made.runs[0]
    had = first.earlier_attempts[0].requests_per_second
    assert f"block 1: {had:,.0f} requests/s, then {first.requests_per_second:,.0f}" in out.getvalue()
    said = io.StringIO()
    Progress(Console(file=said, width=200)).again(made.plan.runs[0], first.earlier_attempts[0])
    assert f"{WHY} (it had {had:,.0f} requests/s); measuring it once more" in said.getvalue()


def test_reading_the_tries_needs_no_folder(bed: Bed) -> None:
    assert bed.store.read_attempts(FIRST.id) == ()
