"""Stated rates: how they are planned, resolved, judged, summed up and told."""

from __future__ import annotations

import csv
import io
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.catalogue.read import load_profiles
from bench.errors import CatalogueError, UsageError
from bench.judge.figures import CpuUse, HostUse, LinkUse, LoadUse, RunFigures
from bench.judge.judge import Judgement, is_spoilt_by_machine, judge
from bench.judge.reason import Reason
from bench.judge.rules.rates import RateEndedEarly, ServerBehindRate
from bench.plan.plan import plan_runs
from bench.plan.rate import OfferedRate, Rate, offered_rate, parse_rate, parse_rates
from bench.results.cell import Cell
from bench.results.figures import OpenLoop
from bench.results.latency import Latency
from bench.results.run import RunResult
from bench.results.summarise import summarise
from bench.results.summary import Summary
from bench.verdicts.contest import contests, rate_contests
from bench.wire.histogram import index_of
from bench.wire.slices import Slice
from loadgen.stats import cut_window, open_loop_of
from reports.charts.rates import rates_figure
from reports.exporters.csv import cells_csv
from reports.page.html import page_html
from reports.page.report import report_page
from reports.results import Results
from reports.tables.rates import rates_table
from reports.terminal.cells import cell_rows
from reports.words.rates import RateGroup, is_behind, rate_groups, rate_sentences
from session.finish import render_again
from tests.helpers.endpoints import ENDPOINTS
from tests.helpers.results_example import RATED, SERVERS, Example, example
from tests.helpers.screens import closing_lines

CELL = Cell("uvicorn", "shortbody", 1, 50, "lab")


# ---------------------------------------------------------------- rates and plan


@pytest.mark.parametrize(
    ("text", "rate"),
    [("500", Rate(500.0)), ("62.5", Rate(62.5)), ("70%", Rate(share=0.7)), ("120%", Rate(share=1.2))],
)
def test_a_rate_is_requests_a_second_or_a_share(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "0", "-5", "nan", "inf", "%", "0%"])
def test_what_is_no_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="is no rate") as caught:
        parse_rate(text)
    assert "70%" in caught.value.remedy


def test_the_same_rate_twice_is_one() -> None:
    assert parse_rates(("500", "500.0", "50%")) == (Rate(500.0), Rate(share=0.5))


def test_a_wrong_rate_in_a_profile_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    fields = "connections = 1\nwarmup_seconds = 1\nwindow_seconds = 1\nblocks = 1\n"
    fields += "idle_rest_seconds = 0\nafter_rest_seconds = 0\n"
    path.write_text(f'[profiles.mine]\n{fields}rates = ["quick"]\n')
    with pytest.raises(CatalogueError, match=r"own\.toml: mine: 'quick' is no rate"):
        load_profiles(path)
    path.write_text(f'[profiles.mine]\n{fields}rates = ["500"]\narrivals = "poisson"\n')
    assert load_profiles(path)["mine"].arrivals == "poisson"


@pytest.mark.parametrize("seed", range(30))
def test_each_block_has_every_cell_once_and_all_closed_loops_of_all_blocks_come_first(seed: int) -> None:
    runs, _ = plan_runs(SERVERS, ENDPOINTS, RATED, "lab", seed)
    assert len(runs) == 3 * 9 * 4
    assert len({run.id for run in runs}) == len(runs)
    for block in (1, 2, 3):
        cells = [run.cell for run in runs if run.block == block]
        assert len(set(cells)) == len(cells) == 36
    is_open = [run.cell.is_open_loop for run in runs]
    assert is_open == [False] * 27 + [True] * 81
    assert [run.block for run in runs] == [1] * 9 + [2] * 9 + [3] * 9 + [1] * 27 + [2] * 27 + [3] * 27


def test_the_order_comes_from_the_seed_and_is_mixed() -> None:
    plans = [plan_runs(SERVERS, ENDPOINTS, RATED, "lab", seed)[0] for seed in (7, 7, 8)]
    assert plans[0] == plans[1] != plans[2]
    stated = [run.cell.rate_share is None for run in plans[0] if run.block == 1 and run.cell.is_open_loop]
    assert stated not in (sorted(stated), sorted(stated, reverse=True)), "rates and shares are mixed"


def test_without_rates_a_seed_gives_the_order_that_it_always_gave() -> None:
    profile = msgspec.structs.replace(RATED, rates=())
    runs, _ = plan_runs(SERVERS, ENDPOINTS, profile, "lab", 7)
    cells = [Cell(server.name, end.name, 1, 50, "lab") for server in SERVERS for end in ENDPOINTS]
    assert [run.cell for run in runs if run.block == 1] == random.Random(7).sample(cells, 9)


def test_ids_and_titles_say_the_rate() -> None:
    at, share = (
        msgspec.structs.replace(CELL, rate_per_second=62.5),
        msgspec.structs.replace(CELL, rate_share=0.7),
    )
    assert [cell.id for cell in (CELL, at, share)] == [
        "uvicorn-shortbody-w1-c50",
        "uvicorn-shortbody-w1-c50-r62.5",
        "uvicorn-shortbody-w1-c50-r70pct",
    ]
    assert at.title == "uvicorn shortbody at 62.5 requests/s"
    assert share.title == "uvicorn shortbody at 70 % of its maximum"
    assert at.closed_loop == share.closed_loop == CELL


# ---------------------------------------------------------------- what a share comes to


def test_a_share_is_of_the_median_of_the_valid_closed_loop_runs_so_far() -> None:
    half = msgspec.structs.replace(CELL, rate_share=0.5)
    closed = [run for run in example().runs if run.cell == CELL][:4]
    reached = (15_000.0, 16_111.0, 17_000.0, 90_000.0)
    runs = [
        msgspec.structs.replace(run, requests_per_second=rate, valid=rate < 50_000)
        for run, rate in zip(closed, reached, strict=True)
    ]
    assert offered_rate(half, runs) == OfferedRate(8_060.0, 16_111.0)
    assert offered_rate(half, runs[:1]) == OfferedRate(7_500.0, 15_000.0)
    assert offered_rate(half, runs[3:]) is None
    assert offered_rate(half, []) is None
    stated = msgspec.structs.replace(CELL, rate_per_second=512.3)
    assert offered_rate(stated, []) == OfferedRate(512.3, None)
    assert offered_rate(stated, runs) == OfferedRate(512.3, 16_111.0)
    assert offered_rate(CELL, runs) is None


def test_one_rate_a_cell_whatever_later_closed_loops_reach() -> None:
    """9,480, 12,300 and 15,100 in three blocks: each was a share of the median of the blocks so far."""
    half = msgspec.structs.replace(CELL, rate_share=0.5)
    closed = [run for run in example().runs if run.cell == CELL]
    speeds = (18_960.0, 24_600.0, 30_200.0)
    first, *later = (
        msgspec.structs.replace(run, requests_per_second=rate)
        for run, rate in zip(closed, speeds, strict=False)
    )
    fixed = offered_rate(half, [first])
    assert fixed == OfferedRate(9_480.0, 18_960.0)
    at_rate = OpenLoop(9_480.0, 9_480.0, latency(0.001), latency(0.00002), 0, 0, 18_960.0)
    opened = msgspec.structs.replace(first, cell=half, open_loop=at_rate)
    assert offered_rate(half, [first, opened, *later]) == fixed
    # Another share of the same maximum, first offered after a --resume.
    other = msgspec.structs.replace(CELL, rate_share=0.7)
    assert offered_rate(other, [first, opened, *later]) == OfferedRate(13_300.0, 18_960.0)
    # Results of before the maximum was recorded keep their rate, too.
    old = msgspec.structs.replace(
        opened, open_loop=msgspec.structs.replace(at_rate, own_maximum_per_second=None)
    )
    kept = offered_rate(half, [first, old, *later])
    assert kept is not None and kept.per_second == 9_480.0


# ---------------------------------------------------------------- the slices' merge


def one_slice(k: int, **open_loop: Any) -> Slice:
    pairs = ((100, 5),)
    return Slice(k, 5, {}, 500, 0, 0, 1, pairs, (), 0.1, 0.1, 0.001, **open_loop)


def test_lag_service_and_backlog_are_merged_over_the_window_alone() -> None:
    def lagging(nanoseconds: int, count: int) -> tuple[tuple[int, int], ...]:
        return ((index_of(nanoseconds), count),)

    inside = {"send_lag": lagging(2_000_000, 5), "service_histogram": lagging(1_000_000, 5)}
    slices = {
        "a/0": [
            one_slice(0, backlog_max=90, backlog_dropped=9, send_lag=lagging(10**9, 5)),
            one_slice(1, backlog_max=3, backlog_dropped=1, **inside),
            one_slice(2, backlog_max=1, **inside),
        ],
        "b/0": [one_slice(0), one_slice(1, backlog_max=4, **inside), one_slice(2, backlog_max=5, **inside)],
    }
    window = cut_window(slices, {"a/0": "a", "b/0": "b"}, warmup_seconds=1, window_seconds=2)
    found = open_loop_of(window, OfferedRate(10.0, 40.0))
    assert (found.offered_rate_per_second, found.achieved_rate_per_second) == (10.0, 10.0)
    assert (found.backlog_max, found.backlog_dropped) == (7, 1)
    assert found.send_lag_seconds is not None and found.service_latency_seconds is not None
    assert found.send_lag_seconds.max == pytest.approx(0.002, rel=1e-3)
    assert found.service_latency_seconds.p50 == pytest.approx(0.001, rel=1e-3)
    assert found.own_maximum_per_second == 40.0


# ---------------------------------------------------------------- the judgement


def latency(seconds: float) -> Latency:
    return Latency(seconds, seconds, seconds, seconds, seconds, seconds)


def judged(
    achieved: float = 1_000.0,
    *,
    server: float = 0.5,
    load: float = 0.3,
    service: float = 0.001,
    lag: float = 0.00002,
    dropped: int = 0,
    **rest: Any,
) -> Judgement:
    """Of 1,000 requests/s over 10 s and 10 connections."""
    maximum, ended_after = rest.pop("maximum", None), rest.pop("ended_after", None)
    found = OpenLoop(1_000.0, achieved, latency(service), latency(lag), 0, dropped, maximum, ended_after)
    figures = RunFigures(
        requests=round(achieved * 10),
        server=CpuUse(server, 1.0),
        load=(LoadUse("a/0", load, loop_lag_seconds=rest.pop("loop_lag", 0.0)),),
        connections=10,
        open_loop=found,
        window_seconds=10,
        p99_latency_seconds=service + lag,
        **rest,
    )
    return judge(figures)


def codes(judgement: Judgement) -> dict[str, bool]:
    return {type(reason).__name__: reason.invalidates for reason in judgement.reasons}


@pytest.mark.parametrize("server", [0.02, 0.5, 0.9])
def test_a_rate_that_is_met_is_the_limit_and_no_doubt(server: float) -> None:
    found = judged(server=server)
    assert (found.limit, found.valid, found.reasons) == ("offered_rate", True, ())


def test_less_than_two_percent_is_not_missed() -> None:
    assert judged(981.0).limit == "offered_rate"
    assert codes(judged(979.0, service=0.02)) == {"ServerBehindRate": False}


def test_a_saturated_server_fell_behind_and_the_run_counts() -> None:
    found = judged(700.0, server=0.99, lag=2.0)
    assert (found.limit, codes(found)) == ("server_cpu", {"ServerBehindRate": False})
    assert found.reasons[0].text == (
        "of 1,000 requests/s offered 700 were answered: the server did not keep up, using 0.99 of 1 core"
    )


def test_a_server_that_all_connections_wait_for_fell_behind() -> None:
    """220 answers a second of 44 ms each: with ten connections nothing else was possible."""
    found = judged(220.0, server=0.1, service=0.044, lag=3.0)
    assert (found.limit, codes(found)) == ("latency", {"ServerBehindRate": False})
    assert "10 of 10 connections waited" in found.reasons[0].text


def test_a_generator_without_cpu_voids_the_run() -> None:
    found = judged(700.0, load=0.97, lag=2.0)
    assert found.limit == "load_generator"
    assert codes(found) == {"LoadWorkerAtLimit": True, "LoadBehindRate": True}


def test_a_generator_that_sends_late_while_connections_are_free_voids_the_run() -> None:
    found = judged(700.0, lag=2.0)
    assert (found.limit, codes(found)) == ("load_generator", {"LoadBehindRate": True})
    assert "2000.0 ms at p99" in found.reasons[0].text


def test_a_database_at_its_limit_is_named() -> None:
    found = judged(700.0, database=CpuUse(1.0, 1.0))
    assert found.limit == "database"
    assert codes(found) == {"DatabaseAtLimit": True, "RateNotReached": True}


def test_a_core_that_the_database_filled_with_the_server_is_said_to_be_that() -> None:
    """Seen: "using 0.74 of 1 cores", as if a quarter of it were free."""
    database: dict[str, Any] = {"database": CpuUse(0.25, 1.0), "database_on_server_cores": True}
    found = judged(700.0, server=0.74, lag=2.0, **database)
    assert found.limit == "server_and_database_cpu"
    (text,) = [one.text for one in found.reasons if one.code() == "ServerBehindRate"]
    assert text.endswith("using 0.74 of 1 core, which its database filled")


def test_a_network_that_carries_no_more_packets_is_named() -> None:
    link = LinkUse(9e6, None, packets_per_second=980.0, link_packets_per_second=1_000.0)
    found = judged(700.0, link=link)
    assert found.limit == "network"
    assert codes(found) == {"PacketsAtLimit": True, "RateNotReached": True}


def test_other_programs_that_held_everybody_up_void_the_run_and_it_is_worth_another_try() -> None:
    """Measured: 0.39 of the server's core used, 0.48 of it by others, nine of ten connections waiting."""
    others = HostUse(cores=1, busy=0.87, others=0.48)
    for service in (0.02, 0.001):
        found = judged(780.0, server=0.39, service=service, lag=0.4, host=others)
        assert codes(found) == {"RateSpoiltByOthers": True, "OthersOnServerCores": True}
        assert is_spoilt_by_machine(found.as_reasons())
        assert found.limit == "none_found"
    few = HostUse(cores=1, busy=0.5, others=0.05)
    assert codes(judged(220.0, server=0.1, service=0.044, host=few)) == {
        "ServerBehindRate": False,
        "OthersOnServerCores": False,
    }


def test_a_rate_missed_below_the_servers_own_maximum_is_the_machines_doing() -> None:
    """Seen: daphne orders closed 1,632/s, then at 70 % of 1,140 offered 998 were answered, core 0.99 busy."""
    found = judged(880.0, server=0.99, lag=2.0, maximum=1_430.0)
    assert codes(found) == {"MissedBelowMaximum": True}
    assert is_spoilt_by_machine(found.as_reasons()), "it is worth another try"
    assert found.reasons[0].text == (
        "of 1,000 requests/s offered 880 were answered, though the same server reached 1,430 in closed loop: "
        "the machine was slower in this run"
    )
    waiting = judged(220.0, server=0.1, service=0.044, lag=3.0, maximum=1_430.0)
    assert codes(waiting) == {"MissedBelowMaximum": True}


def test_great_rates_are_written_out() -> None:
    behind = ServerBehindRate(60_000.0, 18_345.2, None, "using 1.00 of 1 core")
    assert behind.text.startswith("of 60,000 requests/s offered 18,345 were answered: ")


def test_a_rate_at_or_above_the_servers_own_maximum_is_the_servers_to_miss() -> None:
    for maximum in (None, 700.0, 1_000.0, 1_010.0):
        found = judged(700.0, server=0.99, lag=2.0, maximum=maximum)
        assert codes(found) == {"ServerBehindRate": False}, maximum
    assert codes(judged(1_000.0, server=0.7, maximum=1_430.0)) == {}, "it is met"


def test_a_rate_that_was_not_offered_to_the_end_says_so_with_what_was_answered() -> None:
    found = judged(505.0, server=1.0, lag=2.0, ended_after=4)
    assert (found.limit, codes(found)) == ("server_cpu", {"ServerBehindRate": False, "RateEndedEarly": False})
    assert found.reasons[0].text.startswith(
        "ended after 4 s: of 1,000 requests/s offered 505 were answered: the server did not keep up, "
    )
    assert found.reasons[1].text == (
        "its figures are of the last 10 s of a load that was ended early, not of a whole window"
    )


def test_runs_that_were_ended_early_are_never_among_whole_ones_without_a_word() -> None:
    behind = next(
        run.cell for run in rated().runs if not run.cell.rate_share and run.open_loop and run.reasons
    )

    def shorter(run: RunResult) -> RunResult:
        assert run.open_loop is not None
        found = msgspec.structs.replace(run.open_loop, ended_after_seconds=4)
        ended = RateEndedEarly(3.0).as_reason()
        return msgspec.structs.replace(run, open_loop=found, reasons=(*run.reasons, ended))

    made = rated().changed(lambda run: run.cell == behind and run.block == 2, shorter)
    (cell,) = [one for one in summarise(made.plan, made.runs).cells if one.cell == behind]
    assert cell.open_loop is not None and cell.open_loop.ended_after_seconds == 4
    assert cell.reasons[-1].text.endswith("ended early, not of a whole window (1 of 3 runs)")
    summary = summarise(made.plan, made.runs)
    verdicts = [row.verdict for row in cell_rows(summary, made.runs)]
    assert sum(verdict.endswith(" requests/s answered, ended after 4 s") for verdict in verdicts) == 1
    group = next(one for one in rate_groups(made.plan, summary) if cell in one.cells)
    shown = [row.cells[2] for row in rates_table(group).rows]
    assert sum(text.endswith(" (ended after 4 s)") for text in shown) == 1
    panel = str(rates_figure([group], made.plan).panels[0])
    assert panel.count("ended early at 2,000") == 1


def test_failures_are_not_a_missed_rate() -> None:
    assert codes(judged(900.0, failures={"reset": 1_000})) == {"Failures": True}


def test_chance_may_miss_a_poisson_rate_by_a_little() -> None:
    assert codes(judged(972.0, arrivals="poisson")) == {}
    assert codes(judged(960.0, arrivals="poisson")) == {"LoadBehindRate": True}


def test_latency_that_is_the_generators_own_is_told() -> None:
    late = judged(lag=0.040, loop_lag=0.045)
    assert (late.limit, codes(late)) == ("offered_rate", {"SentLate": False})
    assert codes(judged(lag=0.040, loop_lag=0.001)) == {}, "it waited for a connection"


def test_dropped_requests_that_would_change_p99_are_reported_and_void_nothing() -> None:
    """A backlog holds ten seconds of requests, so an overload of a longer run drops some."""
    found = judged(700.0, server=0.99, lag=8.0, dropped=2_000)
    assert codes(found) == {"ServerBehindRate": False, "BacklogDropped": False}
    assert found.reasons[-1].text.startswith("2,000 requests, 22.2% of those due, found the backlog full")
    assert "BacklogDropped" not in codes(judged(700.0, server=0.99, lag=8.0, dropped=60))
    assert "BacklogDropped" in codes(judged(700.0, server=0.99, lag=8.0, dropped=80))


# ---------------------------------------------------------------- summary and report


def rated() -> Example:
    return example(RATED)


def groups_of(made: Example) -> tuple[RateGroup, ...]:
    return rate_groups(made.plan, summarise(made.plan, made.runs))


def sentences_of(made: Example) -> list[str]:
    summary = summarise(made.plan, made.runs)
    found = rate_contests(summary, made.runs, [endpoint.name for endpoint in made.plan.endpoints])
    return [sentence for group in groups_of(made) for sentence in rate_sentences(group, found)]


def csv_rows(summary: Summary) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(cells_csv(summary))))


def page_text(made: Example) -> str:
    results = Results(made.plan, made.environment, summarise(made.plan, made.runs), made.runs)
    return page_html(report_page(results))


def test_a_cell_has_its_rates_and_the_median_of_what_was_found() -> None:
    made = rated()
    summary = summarise(made.plan, made.runs)
    assert len(summary.cells) == 36
    assert len(summary.closed_loop_cells) == 9
    own = [cell for cell in summary.cells if (cell.server, cell.endpoint) == ("daphne", "orders")]
    assert [(cell.rate_per_second, cell.rate_share) for cell in own[:3]] == [
        (None, None),
        (500.0, None),
        (2_000.0, None),
    ]
    half = own[3]
    assert half.rate_share == 0.5 and half.rate_per_second == pytest.approx(799, rel=0.05)
    assert half.cell in {planned.cell for planned in made.plan.runs}
    assert own[2].open_loop is not None and own[2].open_loop.achieved_rate_per_second < 1_700
    assert [reason.code for reason in own[2].reasons] == ["ServerBehindRate"]
    assert own[2].valid


def test_a_rate_that_is_stated_and_met_has_no_interval() -> None:
    """Seen: [2,027, 57,378] around a stated rate, from 9,480, 12,300 and 15,100 in its blocks."""
    made = rated()
    summary = summarise(made.plan, made.runs)
    at_rates = [cell for cell in summary.cells if cell.is_open_loop]
    met = [cell for cell in at_rates if not is_behind(cell)]
    assert len(met) > 20
    for cell in met:
        figures = cell.requests_per_second
        assert (figures.low, figures.high, figures.runs) == (None, None, 3)
    behind = [cell for cell in at_rates if is_behind(cell)]
    assert behind and all(cell.requests_per_second.low is not None for cell in behind), "that is measured"
    rows = {(row["server"], row["endpoint"], row["rate_per_second"]): row for row in csv_rows(summary)}
    assert rows["uvicorn", "shortbody", "500.0"]["requests_per_second_low"] == ""
    shown = [row for row in cell_rows(summary, made.runs) if row.load.startswith("at ") and not row.tone]
    assert shown and {row.interval for row in shown} == {""}


def test_older_results_whose_blocks_had_unlike_rates_say_so() -> None:
    half = next(run.cell for run in rated().runs if run.cell.rate_share and run.cell.server == "uvicorn")
    rates = {1: 9_480.0, 2: 12_300.0, 3: 15_100.0}

    def change(run: RunResult) -> RunResult:
        found = OpenLoop(rates[run.block], rates[run.block], latency(0.001), latency(0.00002), 0, 0)
        return msgspec.structs.replace(run, requests_per_second=rates[run.block], open_loop=found)

    made = rated().changed(lambda run: run.cell == half, change)
    (cell,) = [one for one in summarise(made.plan, made.runs).cells if one.cell == half]
    assert cell.requests_per_second.low is None
    assert [reason.code for reason in cell.reasons] == ["unlike_rates"]
    assert "9,480, 12,300, 15,100 requests/s" in cell.reasons[0].text


def test_a_share_without_a_valid_maximum_says_so() -> None:
    made = rated()
    void = Reason("Failures", "all failed", invalidates=True)

    def is_own(run: RunResult) -> bool:
        return (run.cell.server, run.cell.endpoint) == ("daphne", "orders")

    kept = [run for run in made.runs if not (is_own(run) and run.cell.rate_share)]
    runs = [
        msgspec.structs.replace(run, valid=False, reasons=(void,))
        if run.cell.closed_loop == run.cell and is_own(run)
        else run
        for run in kept
    ]
    cells = summarise(made.plan, runs).cells
    share = next(
        cell for cell in cells if (cell.server, cell.endpoint) == ("daphne", "orders") and cell.rate_share
    )
    assert not share.valid
    assert share.reasons[0].text == "50 % of its maximum is unknown: no closed-loop run is valid"


def test_verdicts_are_those_of_the_closed_loop_and_rates_have_rows_of_their_own() -> None:
    made = rated()
    summary = summarise(made.plan, made.runs)
    bare = msgspec.structs.replace(summary, cells=summary.closed_loop_cells)
    names = [endpoint.name for endpoint in ENDPOINTS]
    with_rates, without = (contests(one, made.runs, names) for one in (summary, bare))
    assert [one.ranked for one in with_rates] == [one.ranked for one in without]
    assert [[step.verdict for step in one.steps] for one in with_rates] == [
        [step.verdict for step in one.steps] for one in without
    ]
    rows, bare_rows = (closing_lines(one, made.runs) for one in (summary, bare))
    verdicts = [line.rpartition("  ")[2] for line in rows if "  closed loop  " in line]
    assert len(verdicts) == 9
    assert verdicts == [line.rpartition("  ")[2] for line in bare_rows[1:10]]
    at_rates = [line for line in rows if "  at " in line]
    assert len(at_rates) == len(summary.cells) - len(bare.cells)
    assert all(re.search(r" [\d.,]+ +[\d.,]+ +\d+\.\d  ", line) for line in at_rates)


def test_a_sentence_tells_the_tail_of_each_at_the_highest_rate_that_all_kept() -> None:
    sentences = sentences_of(rated())
    assert len(sentences) == 6
    assert sentences[0].startswith(
        "At 2,000 requests/s on shortbody one request in 100 to hypercorn took longer than "
    )
    assert "; daphne: " in sentences[0] and ", uvicorn: " in sentences[0]
    assert sentences[4].startswith("At 500 requests/s on orders")
    assert " ms (95 % interval " in sentences[4] and "; 3 runs)" in sentences[4]
    assert sentences[4].endswith("; 3 blocks). At 2,000 requests/s daphne and hypercorn did not keep up.")
    assert sentences[1].startswith("At 50 % of its own maximum on shortbody one request in 100 to ")


def test_a_server_that_no_rate_suits_is_told_with_what_it_answered() -> None:
    made = example(msgspec.structs.replace(RATED, rates=("2000",)))
    assert "(which answered only 1,6" in sentences_of(made)[2]


def test_table_and_figure_hold_every_cell() -> None:
    made = rated()
    figure = rates_figure(groups_of(made), made.plan)
    assert len(figure.panels) == len(figure.tables) == 3
    rows = [row.cells for row in figure.tables[2].rows]
    assert len(rows) == 9
    assert rows[4][:2] == ("daphne", "2,000")
    assert rows[4][-1] == "12"
    assert rows[5][1].endswith("(50 %)")
    assert all(len(row) == len(figure.tables[2].columns) for row in rows)
    assert "<title" in figure.panels[0] and "<desc" in figure.panels[0]


def test_the_section_is_there_with_rates_and_not_without() -> None:
    assert "Latency at stated rates" in page_text(rated())
    assert "stated rate" not in page_text(example())


def test_the_report_is_the_same_from_its_folder(tmp_path: Path) -> None:
    pages = [render_again(rated().save(tmp_path / name)) for name in ("one", "two")]
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_the_csv_has_the_rates() -> None:
    made = rated()
    lines = cells_csv(summarise(made.plan, made.runs)).splitlines()
    assert "connections,rate_per_second,rate_share,client,load_on,environment" in lines[0]
    assert any(",500.0,,engine,loadgen,lab," in line for line in lines)


def test_old_results_have_no_rates() -> None:
    assert msgspec.convert(
        {"server": "a", "endpoint": "b", "workers": 1, "connections": 2, "environment": "c"}, Cell
    ) == (Cell("a", "b", 1, 2, "c"))


# ---------------------------------------------------------------- a plan's runs, one after the other


class RatedBed:
    """Measures a rated plan run by run, without hosts: closed loops reach these speeds, block by block.

    ``older`` gives the order of plans from before all closed loops came first.
    """

    def __init__(self, speeds: dict[int, float], *, older: bool = False) -> None:
        self.made = example(RATED)
        self.speeds = speeds
        runs = self.made.plan.runs
        if older:
            runs = tuple(sorted(runs, key=lambda run: (run.block, run.cell.is_open_loop, run.position)))
        self.left = list(runs)
        self.measured: list[RunResult] = []
        self.offered: dict[Cell, list[OfferedRate | None]] = {}

    def go_on(self, count: int) -> None:
        """Measure so many more; a new call is a --resume, which knows what is saved and nothing else."""
        by_id = {run.run_id: run for run in self.made.runs}
        for planned in self.left[:count]:
            run = by_id[planned.id]
            rate = offered_rate(planned.cell, self.measured)
            if rate is None:
                run = msgspec.structs.replace(run, requests_per_second=self.speeds[run.block])
            else:
                self.offered.setdefault(planned.cell, []).append(rate)
                found = OpenLoop(
                    rate.per_second, rate.per_second, None, None, 0, 0, rate.own_maximum_per_second
                )
                run = msgspec.structs.replace(run, open_loop=found)
            self.measured.append(run)
        self.left = self.left[count:]


@pytest.mark.parametrize("stops", [(108,), (27, 81), (30, 20, 58), (1, 28, 79)])
def test_each_cell_is_offered_one_rate_in_all_blocks_through_every_resume(stops: tuple[int, ...]) -> None:
    bed = RatedBed({1: 18_960.0, 2: 24_600.0, 3: 30_200.0})
    for count in stops:
        bed.go_on(count)
    assert not bed.left and len(bed.offered) == 27
    for cell, rates in bed.offered.items():
        assert len(rates) == 3 and len(set(rates)) == 1
        assert rates[0] is not None and rates[0].own_maximum_per_second == 24_600.0
        if cell.rate_share is not None:
            assert rates[0].per_second == 12_300.0


def test_an_older_plan_goes_on_in_its_own_order_at_the_rate_that_it_began_with() -> None:
    bed = RatedBed({1: 18_960.0, 2: 24_600.0, 3: 30_200.0}, older=True)
    bed.go_on(40)
    bed.go_on(68)
    shares = [rates for cell, rates in bed.offered.items() if cell.rate_share is not None]
    assert shares and all(rates == [OfferedRate(9_480.0, 18_960.0)] * 3 for rates in shares)
