"""The report: its sentences, verdicts, tables and charts, and the file as a whole."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ResultError
from bench.judge.reason import Limit, Reason
from bench.results.all_requests import all_requests_of
from bench.results.run import RunResult
from bench.results.store import Store
from bench.results.summarise import summarise
from bench.spec import Settings
from bench.verdicts.contest import Contest, contests
from bench.verdicts.pair import Verdict
from reports.charts.latency import latency_figure
from reports.charts.svg import Scale, log_ticks, nice_ticks, panel, text
from reports.exporters.csv import cells_csv
from reports.page.html import page_html
from reports.page.report import report_page
from reports.paper import figures as paper
from reports.paper.claim import Claim, servers_compared
from reports.paper.claims import CLAIMS, judge_claims
from reports.paper.tables import paper_table
from reports.results import Results
from reports.tables.latency import latency_table
from reports.tables.rates import rates_table
from reports.words import numbers
from reports.words.cautions import cautions
from reports.words.rates import rate_groups
from reports.words.sentences import ONE_RUN, answer, headline
from reports.words.verdicts import Labelled, label_of
from session.finish import render_again
from tests.helpers.results_example import (
    QUICK,
    RATED,
    SERVERS,
    Example,
    example,
    failing,
    generator_at_its_limit,
    is_cell,
)
from tests.helpers.screens import closing_lines

BAD = failing(generator_at_its_limit(example(), "uvicorn", "shortbody"), "daphne", "orders")


def at_rates(rates: dict[str, tuple[float, ...]], endpoint: str = "shortbody") -> Example:
    """The example with these requests/s, a block each, on one endpoint."""

    def change(run: RunResult) -> RunResult:
        own = rates[run.cell.server]
        return msgspec.structs.replace(run, requests_per_second=own[run.block - 1])

    return example().changed(lambda run: run.cell.endpoint == endpoint, change)


def labelled(made: Example) -> Labelled:
    summary = summarise(made.plan, made.runs)
    found = contests(summary, made.runs, [endpoint.name for endpoint in made.plan.endpoints])
    return [(label_of(contest, found), contest) for contest in found]


def contest_of(made: Example, endpoint: str = "shortbody") -> Contest:
    return next(contest for label, contest in labelled(made) if label == endpoint)


def spread(middle: float, share: float) -> tuple[float, ...]:
    return tuple(middle * (1 + share * step) for step in (0.1, -0.9, 0.9, -0.4, 0.3))


# ------------------------------------------------------------------ sentences and verdicts


def test_ahead_is_said_with_interval_and_blocks() -> None:
    made = at_rates(
        {
            "uvicorn": (4253, 4201, 4298, 4260, 4240),
            "hypercorn": (3112, 3070, 3151, 3100, 3120),
            "daphne": (3073, 3031, 3120, 3080, 3060),
        }
    )
    said = answer(contest_of(made), "shortbody")
    assert said.sentence == (
        "On shortbody, uvicorn outperforms its closest competitor, hypercorn, by 37 % "
        "(95 % interval 36 to 37 %; 5 blocks)."
    )
    assert said.others == (
        "hypercorn and daphne are level: ratio 1.01 (95 % interval 1.01 to 1.02; 5 blocks).",
    )
    assert said.tone == "sure"


def test_a_lead_of_twice_and_more_is_a_factor() -> None:
    said = answer(contest_of(example()), "shortbody").sentence
    assert re.fullmatch(
        r"On shortbody, uvicorn serves 3\.\d\d times as many requests/s as its closest competitor, daphne "
        r"\(95 % interval 3\.\d\d to 3\.\d\d; 5 blocks\)\.",
        said,
    )


def test_not_resolved_says_how_many_more_blocks() -> None:
    made = at_rates(
        {
            "uvicorn": (106, 100, 125, 96, 110),
            "hypercorn": (100, 101, 99, 102, 98),
            "daphne": (50, 50, 50, 50, 50),
        }
    )
    contest = contest_of(made)
    assert contest.steps[0].verdict is Verdict.UNRESOLVED
    assert contest.steps[0].more_blocks is not None and contest.steps[0].more_blocks > 0
    said = answer(contest, "shortbody")
    assert re.fullmatch(
        r"On shortbody, uvicorn or hypercorn: not resolved, ratio 1\.07 "
        r"\(95 % interval 0\.\d\d to 1\.\d\d; 5 blocks\); about \d+ more blocks needed\.",
        said.sentence,
    )
    assert said.tone == "open"


def test_what_slows_a_whole_block_leaves_the_ratio_alone() -> None:
    """Blocks that differ by 60 % still tell 10 % between servers, for the ratio is taken within blocks."""
    block = (1000.0, 1600.0, 1100.0, 1400.0, 1250.0)
    made = at_rates(
        {
            "uvicorn": tuple(value * factor for value, factor in zip(block, spread(1.10, 0.01), strict=True)),
            "hypercorn": block,
            "daphne": tuple(value / 3 for value in block),
        }
    )
    step = contest_of(made).steps[0]
    assert step.verdict is Verdict.AHEAD
    assert step.ratio.low is not None and step.ratio.low > 1.08


def test_one_block_claims_no_interval() -> None:
    made = example(QUICK)
    found = labelled(made)
    for label, contest in found:
        said = answer(contest, label)
        assert ONE_RUN in said.sentence
        assert "95 %" not in said.sentence
        assert said.tone == "open"
    assert headline(found) == (
        "uvicorn answered the most requests on shortbody, longbody and orders (single runs: a first look)"
    )


def test_a_generator_at_its_limit_refuses_the_ranking() -> None:
    said = answer(contest_of(BAD), "shortbody")
    assert said.tone == "refused"
    assert said.sentence == (
        "No ranking on shortbody: with uvicorn, the load generator used 97 % of its cores (5 of 5 runs)."
    )
    assert said.refusals == ("Add load hosts or load workers.",)
    assert said.others[0].startswith("Leaving out uvicorn: daphne serves 2")
    assert "closest competitor" not in " ".join(said.others)


def test_all_refused_for_one_reason() -> None:
    made = example(QUICK)
    for server in ("uvicorn", "daphne", "hypercorn"):
        made = generator_at_its_limit(made, server, "shortbody")
    said = answer(contest_of(made), "shortbody")
    assert said.sentence == "No ranking on shortbody: the load generator used 97 % of its cores."
    assert said.others == ()


def test_refused_for_different_reasons_names_each() -> None:
    made = failing(generator_at_its_limit(example(QUICK), "uvicorn", "orders"), "daphne", "orders")
    said = answer(contest_of(made, "orders"), "orders")
    assert said.sentence == "No ranking on orders: nothing valid is known of uvicorn and daphne."
    assert [refusal.split(":")[0] for refusal in said.refusals] == ["uvicorn", "daphne"]
    assert said.others[0].startswith("Leaving out uvicorn and daphne: hypercorn serves 1,")


def test_the_headline_puts_refusals_first() -> None:
    assert headline(labelled(BAD)) == "No ranking on shortbody and orders; uvicorn is ahead on longbody"
    assert headline(labelled(example())) == "uvicorn is ahead on shortbody, longbody and orders"


def test_one_server_has_nothing_to_compare_with() -> None:
    made = example(servers=SERVERS[:1])
    assert answer(contest_of(made), "shortbody").sentence.endswith("; nothing to compare.")
    assert headline(labelled(made)).startswith("uvicorn alone was measured on")


def test_a_rate_not_set_by_the_servers_cpu_is_told_apart() -> None:
    limit = Limit("latency", "server 0.20 of 1 core; median latency 43 ms")
    made = example().changed(
        is_cell("hypercorn", "shortbody"), lambda run: msgspec.structs.replace(run, limit=limit)
    )
    assert answer(contest_of(made), "shortbody").others[-1] == (
        "Not held back by the server’s CPU alone: hypercorn (latency)."
    )


def test_void_runs_drop_out_of_the_pairs() -> None:
    made = example()
    void = {run.run_id for run in made.runs if is_cell("daphne", "shortbody")(run) and run.block <= 3}
    made = made.changed(lambda run: run.run_id in void, lambda run: msgspec.structs.replace(run, valid=False))
    assert contest_of(made).steps[0].ratio.blocks == 2


def test_several_worker_counts_are_contests_of_their_own() -> None:
    profile = msgspec.structs.replace(QUICK, server_workers=(1, 2))
    made = example(profile, servers=(SERVERS[0], SERVERS[2]))
    assert [label for label, _ in labelled(made)][:2] == ["shortbody, 1 worker", "shortbody, 2 workers"]
    assert headline(labelled(made)).endswith("6 of 6 comparisons (single runs: a first look)")


# ------------------------------------------------------------------ the paper


def test_the_papers_tables_stand_beside_ours() -> None:
    made = example(servers=SERVERS[:2])
    table = paper_table("longbody", made.plan, summarise(made.plan, made.runs))
    assert [row.cells[0] for row in table.rows] == ["uvicorn", "daphne", "hypercorn"]
    assert table.rows[0].cells[4:] == ("0.27.0.post1", "2,460", "80.8")
    assert table.rows[2].cells[2] == "not measured"
    assert table.rows[2].tone == "muted"


def test_the_papers_own_ratio_is_what_is_printed() -> None:
    figures = paper.FIGURES
    short = {name: figures["shortbody", name].requests_per_second for name in paper.SERVERS}
    assert numbers.times(short["uvicorn"] / short["hypercorn"]) == "1.37"
    long = {name: figures["longbody", name].requests_per_second for name in paper.SERVERS}
    assert numbers.times(long["hypercorn"] / long["daphne"]) == "1.95"


def claims_of(made: Example) -> tuple[Claim, ...]:
    return judge_claims(Results(made.plan, made.environment, summarise(made.plan, made.runs), made.runs))


def test_claims_are_found_by_their_files_in_the_papers_order() -> None:
    assert [claim.number for claim in CLAIMS] == list(range(1, 9))


def test_claims_are_judged_by_their_interval() -> None:
    made = at_rates(
        {
            "uvicorn": spread(4253, 0.004),
            "hypercorn": spread(3112, 0.004),
            "daphne": spread(3073, 0.004),
        }
    )
    found = claims_of(made)
    verdicts = {claim.text: (claim.verdict, claim.note) for claim in found}
    assert verdicts["Short bodies: uvicorn beats its closest competitor by 36 %"] == ("confirmed", "")
    assert verdicts["Short bodies: hypercorn and daphne are level"] == ("confirmed", "")
    assert verdicts["Close to real life: uvicorn is about 20 % ahead of daphne"] == (
        "refuted",
        "ahead by more than claimed",
    )
    assert verdicts["uvicorn uses the least memory in every scenario"][0] == "confirmed"
    assert [claim.verdict for claim in found[-6:]] == ["untested"] * 6


def test_hypercorns_workers_are_held_against_its_own_asyncio() -> None:
    """Three entries of hypercorn under the example's names: uvloop, trio and asyncio."""
    loops = {"uvicorn": "uvloop", "daphne": "trio", "hypercorn": "asyncio"}
    servers = tuple(
        msgspec.structs.replace(one, package="hypercorn", settings=Settings(loop=loops[one.name]))
        for one in SERVERS
    )

    def claims_at(uvloop: float, trio: float) -> list[tuple[str, str]]:
        rates = {"uvicorn": spread(uvloop, 0.004), "daphne": spread(trio, 0.004)} | {
            "hypercorn": spread(3000, 0.004)
        }
        made = example(servers=servers).changed(
            lambda run: True,
            lambda run: msgspec.structs.replace(
                run,
                requests_per_second=rates[run.cell.server][run.block - 1],
                server_version="0.18.0",
            ),
        )
        return [(claim.verdict, claim.note) for claim in claims_of(made)[-2:]]

    assert claims_at(3050, 1900) == [("confirmed", ""), ("confirmed", "")]
    assert claims_at(3900, 2600) == [("refuted", ""), ("refuted", "worse by less")]
    assert claims_at(3050, 3300) == [("confirmed", ""), ("refuted", "not on every endpoint")]
    assert claims_at(3050, 2250)[1] == ("inconclusive", "")


def test_claims_are_inconclusive_from_one_run_and_untested_without_a_valid_one() -> None:
    quick = example(QUICK)
    found = claims_of(quick)
    assert {claim.verdict for claim in found} == {"inconclusive", "untested"}
    bad = claims_of(BAD)
    assert bad[0].verdict == "untested"
    assert bad[0].note == "no valid run of uvicorn on shortbody"


def test_the_papers_own_version_stands_for_its_server() -> None:
    old = msgspec.structs.replace(SERVERS[0], name="uvicorn-paper")
    plan = msgspec.structs.replace(example(QUICK).plan, servers=(SERVERS[0], old, *SERVERS[1:]))
    made = example(QUICK)
    summary = summarise(made.plan, made.runs)
    assert servers_compared(plan, summary)["uvicorn"] == "uvicorn"
    cells = (
        *summary.cells,
        msgspec.structs.replace(summary.cells[0], server=old.name, server_version="0.27.0.post1"),
    )
    assert servers_compared(plan, msgspec.structs.replace(summary, cells=cells))["uvicorn"] == "uvicorn-paper"


# ------------------------------------------------------------------ numbers, terminal, CSV


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (numbers.rate(4252.6), "4,253"),
        (numbers.rate(97.25), "97.2"),
        (numbers.rate(None), "–"),
        (numbers.megabytes(79_400_000), "79.4"),
        (numbers.milliseconds(0.0412), "41.2"),
        (numbers.milliseconds(0.00312), "3.12"),
        (numbers.milliseconds(1.5), "1,500"),
        (numbers.percent(0.439), "44 %"),
        (numbers.percent(0.0041), "0.4 %"),
        (numbers.percent(0.0), "0 %"),
        (numbers.lead(1.367), "37"),
        (numbers.lead(1.004), "0.4"),
        (numbers.duration(1670), "27:50"),
        (numbers.duration(3723), "1:02:03"),
        (numbers.counted(1, "run"), "1 run"),
        (numbers.counted(2, "run"), "2 runs"),
        (numbers.listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_figures_read_the_same_everywhere(shown: str, expected: str) -> None:
    assert shown == expected


def test_the_closing_table_is_aligned_and_says_its_limits() -> None:
    made = example()
    lines = closing_lines(summarise(made.plan, made.runs), made.runs)
    assert "  PSS, MB  " in lines[0]
    assert re.fullmatch(
        r"shortbody  uvicorn        15,\d{3}  \[15,\d{3}, 16,\d{3}\]     \d\.\d\d     \d\.\d\d     56\.\d  "
        r"server CPU  3\.82 times the next \[3\.75, 3\.90\]",
        lines[1],
    )
    assert re.fullmatch(
        r"shortbody  daphne          4,\d{3}  \[4,\d{3}, 4,\d{3}\] .*  server CPU  "
        r"\+22 % \[20, 24\] over the next",
        lines[2],
    )
    assert [sum(f"  {limit}  " in line for line in lines) for limit in ("server CPU", "none found")] == [6, 3]
    assert lines[-3:] == [
        "",
        "Runs    45 of 45 runs valid; a load worker's CPU at most 35 %",
        "Report  every run with all its remarks, and what to do about each",
    ]


def test_the_closing_table_without_interval_and_with_refusals() -> None:
    quick = example(QUICK)
    lines = closing_lines(summarise(quick.plan, quick.runs[:7]), quick.runs[:7])
    assert not any("[" in line for line in lines)
    assert any(line.startswith("Note    one run each: no interval") for line in lines)
    assert sum(line.endswith("not measured: it has not been run yet") for line in lines) == 2
    assert lines[-2].startswith("Runs    7 of 7 runs valid; 2 of 9 planned missing")
    bad = closing_lines(summarise(BAD.plan, BAD.runs), BAD.runs)
    (void,) = (line for line in bad if "void: the load generator used 97 %" in line)
    assert void.split()[:2] == ["shortbody", "uvicorn"]
    assert not any("15,9" in line for line in bad)


def test_the_csv_holds_every_cell_with_raw_figures() -> None:
    summary = summarise(BAD.plan, BAD.runs)
    rows = list(csv.DictReader(io.StringIO(cells_csv(summary))))
    assert len(rows) == 9
    assert float(rows[1]["requests_per_second"]) == summary.cells[1].requests_per_second.median
    assert rows[0]["valid"] == "no"
    assert rows[5]["latency_p99_seconds"] == ""


# ------------------------------------------------------------------ charts


@given(st.floats(min_value=1e-3, max_value=1e9))
def test_ticks_begin_at_nought_and_reach_the_data(high: float) -> None:
    ticks = nice_ticks(high)
    assert ticks[0] == 0
    assert ticks[-1] >= high * (1 - 1e-9)
    assert 2 <= len(ticks) <= 7


@given(st.floats(min_value=1e-3, max_value=1e5), st.floats(min_value=1, max_value=1e4))
def test_log_ticks_hold_the_data(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert ticks[0] <= low * (1 + 1e-6)
    assert ticks[-1] >= low * factor * (1 - 1e-6)
    assert list(ticks) == sorted(set(ticks))


def test_a_scale_is_linear_or_logarithmic() -> None:
    assert Scale(0, 10, 100, 200)(5) == 150
    assert Scale(1, 100, 0, 10, is_log=True)(10) == pytest.approx(5)
    assert Scale(3, 3, 0, 10)(3) == 5


def test_text_in_a_chart_is_escaped() -> None:
    drawn = panel("x", "<b>&", 'say "hi"', 10, 10, text(0, 0, "<script>"))
    root = ET.fromstring(drawn)
    assert root.find("title") is not None
    assert [element.text for element in root] == ["<b>&", 'say "hi"', "<script>"]


# ------------------------------------------------------------------ the file


class Reader(HTMLParser):
    """Checks that tags close, and collects what the tests ask for."""

    void = frozenset({"meta", "link", "br", "hr", "img", "input"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [value for value in (values.get("id"),) if value]
        self.links += [value for name in ("href", "src") if (value := values.get(name))]
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(example(), id="review"),
        pytest.param(example(QUICK), id="quick"),
        pytest.param(BAD, id="bad"),
        pytest.param(example(RATED), id="rated"),
        pytest.param(example(QUICK, system="Darwin", shared_host=True), id="mac"),
    ],
)
def test_the_report_is_one_small_offline_file(made: Example, tmp_path: Path) -> None:
    page = render_again(made.save(tmp_path)).read_text()
    assert len(page.encode()) < 200_000
    read = Reader(page)
    assert read.open == []
    assert len(read.ids) == len(set(read.ids))
    assert "<script" not in page
    for link in read.links:
        assert link.startswith("#") or link == "data:," or not re.match(r"[a-z]+:|/", link)
        if link.startswith("#"):
            assert link[1:] in read.ids
    for svg in re.findall(r"<svg.*?</svg>", page, re.S):
        ET.fromstring(svg)
    for left in ("None", "nan", "{{", "{%", "Markup(", "correct horse"):
        assert left not in page


def test_same_results_same_bytes_anywhere(tmp_path: Path) -> None:
    store = example().save(tmp_path / "one")
    first = render_again(store).read_bytes()
    assert render_again(store).read_bytes() == first
    copy = tmp_path / "elsewhere" / store.name
    shutil.copytree(store.directory, copy)
    assert render_again(Store.at(copy)).read_bytes() == first


def test_the_report_needs_only_its_own_folder_and_checks_it(tmp_path: Path) -> None:
    store = example(QUICK).save(tmp_path)
    render_again(store)
    (store.directory / "hosts.json").unlink()
    with pytest.raises(ResultError, match=r"hosts\.json"):
        render_again(store)


def test_summary_json_and_csv_are_written_beside_it(tmp_path: Path) -> None:
    made = example(QUICK)
    store = made.save(tmp_path)
    render_again(store)
    merged = all_requests_of(store, made.runs)
    assert store.read_summary() == summarise(made.plan, made.runs, (), merged)
    assert json.loads((store.directory / "summary.json").read_bytes())["version"] == 1
    assert (store.directory / "report.csv").read_text() == cells_csv(store.read_summary(), labelled(made))


def test_a_sessions_own_warnings_are_kept_and_stale_ones_are_not(tmp_path: Path) -> None:
    made = example(QUICK)
    store = made.save(tmp_path)
    added = Reason("run_failed", "004-x failed: the server did not start")
    stale = Reason("incomplete", "3 of 9 planned runs are missing")
    before = msgspec.structs.replace(summarise(made.plan, made.runs), warnings=(stale, added))
    store.write_summary(before)
    page = render_again(store).read_text()
    assert [reason.code for reason in store.read_summary().warnings] == ["one_block", "run_failed"]
    assert "004-x failed: the server did not start." in page
    assert "planned runs are missing" not in page


def test_a_percentile_that_older_results_lack_is_a_dash_and_no_point() -> None:
    def change(run: RunResult) -> RunResult:
        assert run.latency_seconds is not None
        return msgspec.structs.replace(
            run, latency_seconds=msgspec.structs.replace(run.latency_seconds, p99_9=None)
        )

    long = msgspec.structs.replace(RATED, window_seconds=30)
    older = example(long).changed(lambda run: run.cell.server != "daphne", change)
    summary = summarise(older.plan, older.runs)
    table = latency_table(labelled(older))
    column = [item.title for item in table.columns].index("p99.9")
    shown = {row.cells[0]: row.cells[column] for row in table.rows if row.tone != "group"}
    assert shown["uvicorn"] == shown["hypercorn"] == "–" != shown["daphne"]
    group = rate_groups(older.plan, summary)[0]
    assert [row.cells[5] == "–" for row in rates_table(group).rows] == [
        cell.server != "daphne" for cell in group.cells
    ]
    lines = list(csv.DictReader(io.StringIO(cells_csv(summary))))
    assert {line["server"] for line in lines if not line["latency_p99_9_seconds"]} == {"uvicorn", "hypercorn"}
    whole = str(latency_figure(labelled(example(long)), older.plan).panels[0])
    lacking = str(latency_figure(labelled(older), older.plan).panels[0])
    assert len(re.findall('class="mark', whole)) - len(re.findall('class="mark', lacking)) == 2
    results = Results(older.plan, older.environment, summary, older.runs)
    assert "None" not in page_html(report_page(results))


def test_an_unfinished_benchmark_has_a_report(tmp_path: Path) -> None:
    made = example(QUICK)
    for count in (0, 1, 5):
        some = Example(made.plan, made.environment, made.runs[:count])
        page = render_again(some.save(tmp_path / str(count))).read_text()
        assert f"{9 - count} of 9 planned runs are missing." in page
        assert "it has not been run yet" in page


def test_a_user_chosen_name_is_text_and_never_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)<&script>"
    spec = msgspec.structs.replace(SERVERS[0], title=evil, licence=evil)
    made = example(QUICK, servers=(spec, *SERVERS[1:])).changed(
        is_cell("uvicorn", "orders"),
        lambda run: msgspec.structs.replace(run, valid=False, reasons=(Reason("x", evil, evil, True),)),
    )
    page = render_again(made.save(tmp_path)).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_what_bounds_the_figures_is_said() -> None:
    made = example(QUICK, system="Darwin", shared_host=True)
    summary = summarise(made.plan, made.runs)
    said = {reason.code: reason.text for reason in cautions(made.plan, made.environment, summary, made.runs)}
    assert said["one_block"] == "One run each: no interval"
    assert said["shared_host"] == (
        "The load generator shares lab-server with the server; nothing keeps them on cores of their own: "
        "this system can't pin"
    )
    assert said["no_pss"] == "PSS is not available on macOS: memory is RSS and USS"
    assert said["not_pinned"] == "Processes can't be pinned to cores on lab-server"
    linux = example()
    found = cautions(linux.plan, linux.environment, summarise(linux.plan, linux.runs), linux.runs)
    assert [reason.code for reason in found] == ["frequency_scaling"]


def test_macos_says_what_it_has_not(tmp_path: Path) -> None:
    page = render_again(example(QUICK, system="Darwin").save(tmp_path)).read_text()
    assert "not available on macOS" in page
    assert "macOS 26.1" in page
    assert "PSS peak</li>" not in page


def test_skipped_cells_are_listed_with_their_reason(tmp_path: Path) -> None:
    why = "it runs no lifespan"
    limited = msgspec.structs.replace(SERVERS[1], unsupported_endpoints={"orders": why})
    skipped = example(QUICK, servers=(SERVERS[0], limited))
    page = render_again(skipped.save(tmp_path)).read_text()
    assert "Cells not measured" in page
    assert why in page
    lines = closing_lines(summarise(skipped.plan, skipped.runs), skipped.runs)
    (row,) = (line for line in lines if why in line)
    assert row.split()[:2] == ["orders", "daphne"] and row.endswith(f"skipped: {why}")


def test_every_run_and_its_counts_are_in_the_report(tmp_path: Path) -> None:
    made = example()
    words = " ".join(Reader(render_again(made.save(tmp_path)).read_text()).words)
    for run in made.runs:
        assert run.run_id in words
        assert f"{run.counts.engine:,}" in words
