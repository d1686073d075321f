"""Latency over runs: intervals, ranges where runs disagree, all requests together, and who is ahead."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import msgspec
import pytest

from bench.errors import ResultError
from bench.results.all_requests import all_requests_of
from bench.results.estimate import estimate
from bench.results.latency import P50, P99, Latency, latency_of
from bench.results.run import RunResult
from bench.results.store import Store
from bench.results.summarise import summarise
from bench.results.summary import CellSummary, Summary
from bench.verdicts.contest import Contest, contests, rate_contests
from bench.verdicts.pair import Verdict
from bench.wire.histogram import Histogram, index_of
from reports.charts.rates import rates_figure
from reports.exporters.csv import cells_csv
from reports.results import Results
from reports.tables.latency import latency_table
from reports.tables.rates import rates_table
from reports.terminal.cells import cell_rows
from reports.words.over_runs import interval_of, milliseconds_of, of_all_requests, tail_words
from reports.words.rates import rate_groups, rate_sentences
from tests.helpers.results_example import RATED, Example, example

NAMES = ["shortbody", "longbody", "orders"]


def with_p99(made: Example, server: str, endpoint: str, seconds_by_block: dict[int, float]) -> Example:
    """At 500 requests/s; every other percentile follows p99."""

    def is_own(run: RunResult) -> bool:
        cell = run.cell
        return (cell.server, cell.endpoint, cell.rate_per_second) == (server, endpoint, 500.0)

    def change(run: RunResult) -> RunResult:
        p99 = seconds_by_block[run.block]
        latency = Latency(p99 / 3, p99 / 2, p99, None, p99 * 3, p99 / 3)
        return msgspec.structs.replace(run, latency_seconds=latency)

    runs = [run for run in made.runs if not is_own(run) or run.block in seconds_by_block]
    return Example(made.plan, made.environment, tuple(runs)).changed(is_own, change)


def at_500(made: Example, server: str, endpoint: str = "shortbody") -> CellSummary:
    return next(
        cell
        for cell in summarise(made.plan, made.runs).cells
        if (cell.server, cell.endpoint, cell.rate_per_second) == (server, endpoint, 500.0)
        and cell.rate_share is None
    )


def contest_at_500(made: Example) -> Contest:
    found = rate_contests(summarise(made.plan, made.runs), made.runs, NAMES)
    return next(one for one in found if one.endpoint == "shortbody" and one.cells[0].rate_per_second == 500.0)


def sentence_at_500(made: Example) -> str:
    """The benchmark cut to that rate: a report tells the highest that all servers met."""
    kept = [run for run in made.runs if run.cell.rate_per_second == 500.0 or not run.cell.is_open_loop]
    summary = summarise(made.plan, kept)
    found = rate_contests(summary, kept, NAMES)
    return rate_sentences(rate_groups(made.plan, summary)[0], found)[0]


# ---------------------------------------------------------------- intervals, and none where runs disagree


def test_each_percentile_has_its_interval_over_runs() -> None:
    seconds = {1: 0.0120, 2: 0.0131, 3: 0.0124}
    cell = at_500(with_p99(example(RATED), "daphne", "shortbody", seconds), "daphne")
    assert cell.latency_over_runs is not None
    found = cell.latency_over_runs.of(P99)
    assert found is not None and found.estimate == estimate(list(seconds.values()))
    assert (found.least, found.greatest, found.do_runs_disagree) == (0.0120, 0.0131, False)
    assert milliseconds_of(cell, P99) == "12.4"
    assert interval_of(cell, P99) == "11.2 to 13.9"
    assert tail_words(cell, P99) == "12.4 ms (95 % interval 11.2 to 13.9; 3 runs)"


def test_the_mean_of_6_8_and_182_ms_is_nobodys_tail() -> None:
    """Seen: "one request in 100 took longer than 94.6 ms", of two runs with 6.8 and 182 ms."""
    made = with_p99(example(RATED), "daphne", "shortbody", {1: 0.0068, 3: 0.182})
    cell = at_500(made, "daphne")
    assert cell.latency_seconds is not None and cell.latency_seconds.p99 == pytest.approx(0.0944)
    assert milliseconds_of(cell, P99) == "6.80 to 182"
    sentence = sentence_at_500(made)
    assert (
        "daphne took longer than 6.80 ms in one run and 182 ms in another (2 runs: they disagree)" in sentence
    )
    summary = summarise(made.plan, made.runs)
    table = rates_table(rate_groups(made.plan, summary)[0])
    shown = next(row.cells for row in table.rows if row.cells[:2] == ("daphne", "500"))
    rows = [row for row in cell_rows(summary, made.runs) if row.endpoint == "shortbody"]
    assert not any("94.4" in text for text in (*shown, sentence, *(row.p99 for row in rows)))
    assert "6.80 to 182" in shown and "6.80 to 182" in {row.p99 for row in rows}


def test_parts_of_a_latency_have_their_range_too_where_runs_disagree() -> None:
    parts = {1: (0.0061, 0.0001), 2: (0.0062, 0.0002), 3: (0.150, 0.0002)}

    def change(run: RunResult) -> RunResult:
        assert run.open_loop is not None
        service, lag = (Latency(p99, p99, p99, None, p99, p99) for p99 in parts[run.block])
        found = msgspec.structs.replace(run.open_loop, service_latency_seconds=service, send_lag_seconds=lag)
        return msgspec.structs.replace(run, open_loop=found)

    own = at_500(example(RATED), "daphne").cell
    made = example(RATED).changed(lambda run: run.cell == own, change)
    table = rates_table(rate_groups(made.plan, summarise(made.plan, made.runs))[0])
    titles = [column.title for column in table.columns]
    shown = next(row.cells for row in table.rows if row.cells[:2] == ("daphne", "500"))
    assert shown[titles.index("Service p99, ms")] == "6.10 to 150"
    assert shown[titles.index("Send lag p99, ms")] == "0.20"


def test_a_single_run_has_no_interval_and_says_so() -> None:
    made = with_p99(example(RATED), "daphne", "shortbody", {2: 0.0124})
    assert tail_words(at_500(made, "daphne"), P99) == "12.4 ms (one run: no interval)"
    assert interval_of(at_500(made, "daphne"), P99) == "–"


def test_too_few_requests_have_no_sentence_no_verdict_and_a_dash() -> None:
    """From 30 requests "one request in 100 took longer than 8.53 ms" was said: their maximum."""

    def few(run: RunResult) -> RunResult:
        counted = latency_of([(index_of(2_000_000), 29), (index_of(8_530_000), 1)])
        return msgspec.structs.replace(run, requests=30, latency_seconds=counted)

    made = example(msgspec.structs.replace(RATED, rates=("500",))).changed(
        lambda run: run.cell.is_open_loop, few
    )
    summary = summarise(made.plan, made.runs)
    assert rate_contests(summary, made.runs, NAMES) == ()
    groups = rate_groups(made.plan, summary)
    assert [rate_sentences(group, ()) for group in groups] == [(), (), ()]
    for row in rates_table(groups[0]).rows:
        assert row.cells[3:7] == ("2.00", "–", "–", "–") and row.cells[7] == "8.53"
    assert {row.p99 for row in cell_rows(summary, made.runs) if row.load.startswith("at ")} == {"–"}
    lines = [line for line in csv_rows(summary) if line["rate_per_second"]]
    assert {line["latency_p99_seconds"] + line["latency_p99_seconds_low"] for line in lines} == {""}
    assert {line["latency_max_seconds"] for line in lines} != {""}
    assert not rates_figure(groups, made.plan).panels


def csv_rows(summary: Summary) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(cells_csv(summary))))


def test_tables_csv_and_chart_have_the_intervals() -> None:
    made = with_p99(example(RATED), "daphne", "shortbody", {1: 0.0120, 2: 0.0131, 3: 0.0124})
    summary = summarise(made.plan, made.runs)
    group = rate_groups(made.plan, summary)[0]
    table = rates_table(group)
    at = [column.title for column in table.columns].index("p99, 95 % interval")
    assert "11.2 to 13.9" in {row.cells[at] for row in table.rows}
    line = next(
        one for one in csv_rows(summary) if (one["server"], one["rate_per_second"]) == ("daphne", "500.0")
    )
    assert float(line["latency_p99_seconds_low"]) == pytest.approx(0.0112, rel=0.01)
    assert float(line["latency_p99_seconds_high"]) == pytest.approx(0.0139, rel=0.01)
    assert (line["latency_p99_seconds_least_run"], line["latency_p99_seconds_greatest_run"]) == (
        "0.012",
        "0.0131",
    )
    panel = str(rates_figure([group], made.plan).panels[0])
    drawn = [part.rpartition('d="')[2].count("M") for part in panel.split('class="interval"')[:-1]]
    assert sum(drawn) == len([cell for cell in group.cells if cell.valid]) == 9
    results = Results(made.plan, made.environment, summary, made.runs)
    closed = latency_table(results.contests)
    column = [one.title for one in closed.columns].index("p99, 95 % interval")
    assert all(" to " in row.cells[column] for row in closed.rows if row.tone != "group")


# ---------------------------------------------------------------- who is ahead at an equal rate


def noisy(seed: int, middle: float, noise: float, blocks: int = 3) -> dict[int, float]:
    chance = random.Random(seed)
    return {block: middle * (1 + chance.gauss(0, noise)) for block in range(1, blocks + 1)}


def raced(daphne: dict[int, float], hypercorn: dict[int, float], uvicorn: dict[int, float]) -> Example:
    made = example(RATED)
    for server, seconds in (("daphne", daphne), ("hypercorn", hypercorn), ("uvicorn", uvicorn)):
        made = with_p99(made, server, "shortbody", seconds)
    return made


def test_servers_are_compared_by_the_ratio_of_their_tails_in_each_block() -> None:
    """A slow block slows all: the medians' intervals overlap by far, and the ratio is sure."""
    slow = {1: 1.0, 2: 3.0, 3: 1.7}
    made = raced(
        {block: 0.0120 * factor for block, factor in slow.items()},
        {block: 0.0240 * factor * (1 + 0.01 * block) for block, factor in slow.items()},
        {block: 0.0060 * factor * (1 + 0.01 * block) for block, factor in slow.items()},
    )
    contest = contest_at_500(made)
    assert [cell.server for cell in contest.ranked] == ["uvicorn", "daphne", "hypercorn"]
    assert {step.verdict for step in contest.steps} == {Verdict.AHEAD}
    summary = summarise(made.plan, made.runs)
    table = rates_table(rate_groups(made.plan, summary)[0], rate_contests(summary, made.runs, NAMES))
    at = [column.title for column in table.columns].index("p99 against the next")
    shown = {row.cells[0]: row.cells[at] for row in table.rows if row.cells[1] == "500"}
    assert shown["uvicorn"].startswith("ahead: the next’s is 1.96 times as long [1.")
    assert shown["hypercorn"] == ""
    rows = [row for row in cell_rows(summary, made.runs) if row.endpoint == "shortbody"]
    at_rate = [(row.server, row.verdict) for row in rows if row.load == "at 500/s"]
    assert at_rate == [
        ("uvicorn", "kept up; p99 ahead of the next"),
        ("daphne", "kept up; p99 ahead of the next"),
        ("hypercorn", "kept up"),
    ]
    sentence = sentence_at_500(made)
    assert "uvicorn is ahead of daphne, whose p99 is 1.96 times as long (95 % interval " in sentence
    assert "daphne is ahead of hypercorn, whose p99 is 2.04 times as long (95 % interval " in sentence


def test_a_difference_inside_the_noise_is_not_resolved_and_equal_tails_are_level() -> None:
    made = raced(noisy(1, 0.012, 0.25), noisy(2, 0.0125, 0.25), {1: 0.0121, 2: 0.0119, 3: 0.0121})
    contest = contest_at_500(made)
    assert {step.verdict for step in contest.steps} == {Verdict.UNRESOLVED}
    assert " is ahead of " not in sentence_at_500(made)
    assert "not resolved" in sentence_at_500(made)
    same = {1: 0.0120, 2: 0.0121, 3: 0.0119}
    level = sentence_at_500(raced(same, same, same))
    assert "are level: ratio of their p99 1.00 (95 % interval" in level


def test_one_run_each_orders_nobody_by_a_claim() -> None:
    made = raced({1: 0.012}, {1: 0.024}, {1: 0.006})
    assert {step.verdict for step in contest_at_500(made).steps} == {Verdict.UNKNOWN}
    sentence = sentence_at_500(made)
    assert "ahead" not in sentence and "no interval" in sentence


def test_a_server_that_missed_the_rate_is_no_rival_by_its_tail() -> None:
    made = example(msgspec.structs.replace(RATED, rates=("2000",)))
    found = rate_contests(summarise(made.plan, made.runs), made.runs, NAMES)
    orders = next(one for one in found if one.endpoint == "orders")
    assert [cell.server for cell in orders.ranked] == ["uvicorn"] and not orders.refused


def test_pairs_at_rates_and_by_throughput_are_judged_together() -> None:
    made = example(RATED)
    summary = summarise(made.plan, made.runs)
    closed, rated = contests(summary, made.runs, NAMES), rate_contests(summary, made.runs, NAMES)
    counted = {pair.of for contest in (*closed, *rated) for pair in contest.pairs}
    assert counted == {sum(len(contest.pairs) for contest in (*closed, *rated))}


# ---------------------------------------------------------------- all requests together


def test_all_requests_are_merged_exactly_from_the_runs_histograms(tmp_path: Path) -> None:
    made = with_p99(example(RATED), "daphne", "shortbody", {1: 0.0068, 2: 0.0071, 3: 0.182})
    store = made.save(tmp_path)
    summary = summarise(made.plan, made.runs, (), all_requests_of(store, made.runs))
    cell = next(one for one in summary.cells if one.cell == at_500(made, "daphne").cell)
    merged = Histogram()
    for run in made.runs:
        if run.cell == cell.cell:
            merged.add_pairs(store.read_histograms(run.run_id)["good"])
    assert cell.latency_over_runs is not None
    assert cell.latency_over_runs.all_requests == latency_of(merged.to_pairs())
    # One run in three decides what one request in 100 of all saw; what half of them saw it doesn't.
    assert of_all_requests(cell, P99) == "182"
    assert of_all_requests(cell, P50) == "3.55"
    assert milliseconds_of(cell, P99) == "6.80 to 182"


def test_requests_that_never_got_an_answer_are_among_all_requests(tmp_path: Path) -> None:
    made = example(RATED)
    store = Store.create(tmp_path, "late", made.plan)
    own = [run for run in made.runs if run.cell == made.runs[0].cell]
    quick, late = [(index_of(2_000_000), 990)], [(index_of(900_000_000), 20)]
    for run in own:
        content = {"good": quick, "failed": [], "waited": late if run.block == 1 else []}
        store.write_run(run, {"histogram.json": msgspec.json.encode(content)})
    found = all_requests_of(store, own)[own[0].cell]
    expected = latency_of([(index, 3 * count) for index, count in quick], late)
    assert found == expected and "max" in found.at_least


def test_the_report_shows_them_and_stays_the_same_when_it_is_rendered_again(tmp_path: Path) -> None:
    made = example(RATED)
    store = made.save(tmp_path)
    summary = summarise(made.plan, made.runs, (), all_requests_of(store, made.runs))
    assert all(
        cell.latency_over_runs is not None and cell.latency_over_runs.all_requests is not None
        for cell in summary.cells
    )
    table = rates_table(rate_groups(made.plan, summary)[0])
    at = [column.title for column in table.columns].index("p99 of all requests")
    assert "–" not in {row.cells[at] for row in table.rows}
    store.write_summary(summary)
    assert store.read_summary() == summary


def test_runs_of_unlike_length_or_rate_or_without_a_histogram_are_not_put_together(tmp_path: Path) -> None:
    made = example(RATED)
    first = next(run for run in made.runs if run.cell.rate_per_second == 500.0)

    def is_first(run: RunResult) -> bool:
        return run is first

    shorter = made.changed(
        is_first,
        lambda run: msgspec.structs.replace(
            run, timing=msgspec.structs.replace(run.timing, window_seconds=3.0)
        ),
    )
    assert first.open_loop is not None
    other_rate = msgspec.structs.replace(first.open_loop, offered_rate_per_second=400.0)
    unlike = made.changed(is_first, lambda run: msgspec.structs.replace(run, open_loop=other_rate))
    for name, one in (("shorter", shorter), ("unlike", unlike)):
        found = all_requests_of(one.save(tmp_path / name), one.runs)
        assert first.cell not in found and len(found) == 35
    void = made.changed(is_first, lambda run: msgspec.structs.replace(run, valid=False))
    assert first.cell in all_requests_of(void.save(tmp_path / "void"), void.runs)
    store = Store.create(tmp_path, "bare", made.plan)
    store.write_run(first, {})
    assert store.read_histograms(first.run_id) == {}
    assert all_requests_of(store, [first]) == {}


def test_a_damaged_histogram_is_named(tmp_path: Path) -> None:
    made = example(RATED)
    store = made.save(tmp_path)
    run = made.runs[0]
    (store.runs_directory / run.run_id / "histogram.json").write_text("[[12, 3]]")
    with pytest.raises(ResultError, match=r"histogram\.json is damaged"):
        all_requests_of(store, [run])
