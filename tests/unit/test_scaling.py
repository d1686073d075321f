"""Scaling: what workers bring and take, by themselves and behind a balancer; and what a report says of it."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace
from statistics import fmean

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.balancers import haproxy_config, version_in
from bench.errors import UsageError
from bench.judge.figures import CpuUse, HostUse, LoadUse, RunFigures
from bench.judge.judge import Judgement, judge
from bench.plan.balancing import balanced_cores
from bench.plan.plan import plan_runs
from bench.plan.scaling import parse_balancers, parse_workers
from bench.results.balancer import balancer_figures
from bench.results.cell import Cell
from bench.results.imbalance import imbalance_of
from bench.results.pairs import PairRatio
from bench.results.proof import SettingProof
from bench.results.prove import prove
from bench.results.scaling import Efficiency, ScalingCurve, over_workers, scaling_curves
from bench.results.summarise import summarise
from bench.spec import Serving
from bench.verdicts.contest import contests
from bench.wire.observation import Configuration, ServerSeen
from remote.balanced import together
from reports.exporters.csv import EXPORTER
from reports.page.html import page_html
from reports.page.report import report_page
from reports.paper.claim import CONFIRMED, INCONCLUSIVE, REFUTED, UNTESTED
from reports.paper.claims.scaling import CLAIM, linear_verdict
from reports.results import Results
from reports.terminal.caveats import caveat_lines
from reports.words.scaling import curve_sentence
from tests.helpers.endpoints import ENDPOINTS
from tests.helpers.results_example import SERVERS, Example
from tests.helpers.scaling_example import (
    BALANCER_CORE_SHARE,
    EFFICIENCY,
    LISTENING,
    ONCE,
    SCALED,
    SHARED_MEGABYTES,
    UNEVEN,
    scaled,
)

MADE = scaled()


def results_of(made: Example = MADE) -> Results:
    return Results(made.plan, made.environment, summarise(made.plan, made.runs), made.runs)


RESULTS = results_of()


def curve_of(server: str, endpoint: str = "shortbody", balancer: str = "") -> ScalingCurve:
    found = scaling_curves(RESULTS.summary, RESULTS.runs)
    (curve,) = [
        one for one in found if (one.server, one.first.endpoint, one.balancer) == (server, endpoint, balancer)
    ]
    return curve


# ---------------------------------------------------------------- efficiency, imbalance, memory


def test_efficiency_is_throughput_over_that_of_as_many_single_workers() -> None:
    for point in curve_of("uvicorn").points[1:]:
        found = point.efficiency
        assert found is not None and found.low is not None and found.high is not None
        expected = EFFICIENCY["uvicorn"][point.workers]
        assert found.low < expected < found.high
        assert found.blocks == SCALED.blocks
        # By hand, from the runs of both cells.
        logarithms = {
            workers: {
                run.block: math.log(run.requests_per_second)
                for run in MADE.runs
                if run.cell == msgspec.structs.replace(point.cell.cell, workers=workers)
            }
            for workers in (1, point.workers)
        }
        mean = fmean(logarithms[point.workers][block] - logarithms[1][block] for block in logarithms[1])
        assert found.mean == pytest.approx(math.exp(mean) / point.workers)


def test_one_worker_is_linear_to_itself_and_one_block_has_no_interval() -> None:
    first = curve_of("hypercorn").points[0]
    assert first.efficiency == Efficiency(1.0, 1.0, 1.0, SCALED.blocks)
    once = results_of(scaled(ONCE))
    point = scaling_curves(once.summary, once.runs)[0].points[1]
    assert point.efficiency is not None and not point.efficiency.is_known


def test_a_curve_needs_its_own_single_worker() -> None:
    """Behind a balancer, one process behind it; runs that say nothing are none."""
    made = MADE.changed(
        lambda run: run.cell.server == "uvicorn" and run.cell.workers == 1,
        lambda run: msgspec.structs.replace(run, valid=False),
    )
    results = results_of(made)
    found = [one for one in scaling_curves(results.summary, results.runs) if one.server == "uvicorn"]
    assert found and all(point.efficiency is None for curve in found for point in curve.points)
    assert "of which no run counts" in curve_sentence(found[0])


def test_runs_that_are_no_maximum_give_no_efficiency() -> None:
    idle = judge(RunFigures(requests=1_000, server=CpuUse(0.5, 2.0), load=(LoadUse("w", 0.3),))).as_reasons()
    assert [one.code for one in idle] == ["NotSaturated"]
    made = MADE.changed(
        lambda run: run.cell.server == "uvicorn" and run.cell.workers == 4,
        lambda run: msgspec.structs.replace(run, reasons=idle),
    )
    results = results_of(made)
    curve = next(one for one in scaling_curves(results.summary, results.runs) if one.server == "uvicorn")
    assert [point.efficiency is None for point in curve.points] == [False, False, True]


@given(st.floats(0.01, 100), st.integers(1, 256))
def test_an_efficiency_and_its_interval_are_the_ratios_over_the_workers(mean: float, workers: int) -> None:
    found = over_workers(PairRatio(mean, mean * 0.9, mean * 1.1, 0.5, 0.1, (0.1, 0.2)), workers)
    assert found is not None and found.low is not None and found.high is not None
    assert found.mean * workers == pytest.approx(mean)
    assert found.low < found.mean < found.high
    assert over_workers(PairRatio(None, None, None, None, None, ()), workers) is None


@pytest.mark.parametrize(
    ("requests", "workers", "expected"),
    [
        ((100, 100), 2, 1.0),
        ((150, 50), 2, 1.5),
        ((200,), 2, 2.0),  # the other answered nothing, and so has no count
        ((10,), 1, 1.0),
        ((), 2, None),
        ((0, 0), 2, None),
    ],
)
def test_imbalance_is_the_largest_share_over_the_mean(
    requests: tuple[int, ...], workers: int, expected: float | None
) -> None:
    assert imbalance_of(requests, workers) == expected


def test_a_cell_keeps_the_median_imbalance_and_one_worker_has_none() -> None:
    points = curve_of("hypercorn").points
    assert points[0].imbalance is None
    assert points[1].imbalance == pytest.approx(UNEVEN["hypercorn"], rel=1e-3)


def test_memory_is_by_worker_and_by_what_each_more_adds() -> None:
    point = curve_of("daphne", balancer="haproxy").points[1]
    own = 71e6
    assert point.memory.rss_bytes == pytest.approx(own)
    assert point.memory.pss_bytes == pytest.approx(own - SHARED_MEGABYTES * 1e6 / 2)
    assert point.memory.added_rss_bytes == pytest.approx(own)
    assert point.memory.added_pss_bytes == pytest.approx(own - SHARED_MEGABYTES * 1e6)


def test_the_balancers_figures_are_medians_and_apart() -> None:
    cell = curve_of("daphne", balancer="haproxy").points[1].cell
    assert cell.balancer_figures is not None
    assert cell.balancer_figures.core_share == pytest.approx(BALANCER_CORE_SHARE)
    assert (cell.balancer_figures.rss_bytes, cell.balancer_figures.pss_bytes) == (10_000_000, 8_000_000)
    assert balancer_figures([]) is None
    assert curve_of("uvicorn").first.balancer_figures is None


# ---------------------------------------------------------------- the plan


def test_daphne_has_several_processes_behind_a_balancer_alone() -> None:
    skipped = {one.cell.id: one.reason for one in MADE.plan.skipped}
    assert skipped["daphne-shortbody-w2-c50"] == "daphne runs 1 worker process(es) at most"
    planned = {run.cell for run in MADE.plan.runs}
    assert Cell("daphne", "shortbody", 2, 50, "lab", balancer="haproxy") in planned
    assert not any(one.cell.balancer for one in MADE.plan.skipped)


def test_a_server_that_has_no_unix_socket_is_left_out_behind_a_balancer() -> None:
    _, skipped = plan_runs(SERVERS[:1], ENDPOINTS[:1], SCALED, "lab", 7)
    assert {one.cell.balancer for one in skipped} == {"haproxy"}
    assert all("it must listen on a Unix socket" in one.reason for one in skipped)


def test_cells_are_named_by_their_balancer_and_keep_their_names_without() -> None:
    cell = Cell("uvicorn", "shortbody", 2, 50, "lab")
    behind = msgspec.structs.replace(cell, balancer="haproxy")
    assert cell.id == "uvicorn-shortbody-w2-c50"
    assert (behind.id, behind.title) == (f"{cell.id}-behind-haproxy", "uvicorn shortbody behind HAProxy")
    assert behind.without_balancer == cell


def test_servers_are_ranked_among_cells_behind_the_same() -> None:
    found = contests(RESULTS.summary, RESULTS.runs, [one.name for one in ENDPOINTS])
    assert all(len({(cell.balancer, cell.workers) for cell in one.cells}) == 1 for one in found)
    labels = [label for label, _ in RESULTS.contests]
    assert len(set(labels)) == len(labels) == 18
    assert sum("behind HAProxy" in label for label in labels) == 9


def test_workers_and_balancers_are_read_from_words() -> None:
    assert parse_workers(["1", "4", "2", "4"]) == (1, 4, 2)
    assert parse_balancers(["none", "haproxy"]) == ("", "haproxy")
    for wrong in ("0", "-1", "two", "1.5", "", "²"):
        with pytest.raises(UsageError, match="no number of worker processes"):
            parse_workers([wrong])
    with pytest.raises(UsageError, match="no balancer 'nginx'") as error:
        parse_balancers(["nginx"])
    assert error.value.remedy == "There are none, haproxy"


# ---------------------------------------------------------------- cores and configuration


def test_a_balancer_has_a_core_apart_where_the_server_has_one_to_spare() -> None:
    assert balanced_cores((0, 1, 2, 3), 2).server == (0, 1, 2)
    spare = balanced_cores((0, 1, 2, 3), 3)
    assert (spare.server, spare.balancer, spare.is_apart) == ((0, 1, 2), (3,), True)
    full = balanced_cores((0, 1, 2, 3), 4)
    assert (full.server, full.balancer, full.is_apart) == ((0, 1, 2, 3), (0, 1, 2, 3), False)
    assert balanced_cores((1,), 1).is_apart is False
    unpinned = balanced_cores(None, 1)
    assert (unpinned.server, unpinned.balancer, unpinned.is_apart) == (None, None, False)


def test_haproxys_configuration_is_whole() -> None:
    text = haproxy_config(
        bind="::1",
        port=8000,
        sockets=["/w/1", "/a b/2"],
        connections=50,
        backlog=2048,
        keep_alive_seconds=75,
    )
    lines = [line.strip() for line in text.splitlines()]
    for wanted in (
        "nbthread 1",
        "maxconn 1050",
        "mode http",
        "option http-keep-alive",
        "http-reuse always",
        "no log",
        "balance leastconn",
        "bind [::1]:8000 backlog 2048",
        "timeout client 75s",
        'server s1 "unix@/w/1"',
        'server s2 "unix@/a b/2"',
    ):
        assert wanted in lines, wanted
    # Nothing that would change a request, answer more, or look at the servers meanwhile.
    assert not re.search(r"check|forwardfor|compression|stats|set-header|option httplog", text)


# ---------------------------------------------------------------- the judge

IDLE_LOAD = (LoadUse("w1", 0.3),)


def judged(server: float, balancer: float, *, cores: float = 2.0, shares: bool, **rest: object) -> Judgement:
    figures = RunFigures(
        requests=10_000,
        server=CpuUse(server, cores),
        load=IDLE_LOAD,
        balancer=CpuUse(balancer, 1.0),
        balancer_on_server_cores=shares,
    )
    return judge(msgspec.structs.replace(figures, **rest))


def codes(found: Judgement) -> list[str]:
    return [type(one).__name__ for one in found.reasons]


def test_a_full_balancer_beside_an_idle_server_is_the_limit_and_ranks_nobody() -> None:
    found = judged(1.2, 0.97, shares=False)
    assert (found.limit, found.valid, codes(found)) == ("load_balancer", True, ["BalancerAtLimit"])
    (reason,) = found.as_reasons()
    assert reason.unranks and reason.remedy
    assert "0.97" in reason.text and "1.20 of 2 cores" in reason.text
    assert "load balancer 0.97 of 1 core" in found.as_limit().text


def test_a_full_server_is_its_own_limit_however_busy_its_balancer() -> None:
    found = judged(1.96, 0.97, shares=False)
    assert (found.limit, codes(found)) == ("server_cpu", [])


def test_a_balancer_below_its_core_is_no_limit() -> None:
    assert judged(1.2, 0.85, shares=False).limit != "load_balancer"
    assert "BalancerAtLimit" not in codes(judged(1.2, 0.85, shares=False))


def test_server_and_balancer_that_fill_the_cores_they_share_are_the_limit_together() -> None:
    found = judged(1.45, 0.5, shares=True)
    assert (found.limit, found.valid, codes(found)) == (
        "server_and_balancer_cpu",
        True,
        ["BalancerSharesCores"],
    )
    assert not any(one.unranks for one in found.as_reasons())
    # As much on cores of their own is none.
    assert "BalancerSharesCores" not in codes(judged(1.45, 0.5, shares=False))
    assert judged(1.45, 0.5, shares=False).limit != "server_and_balancer_cpu"


def test_a_balancer_that_took_nearly_all_of_shared_cores_is_what_was_measured() -> None:
    found = judged(0.2, 0.79, cores=1.0, shares=True)
    assert (found.limit, codes(found)) == ("load_balancer", ["BalancerAtLimit"])


def test_a_balancer_on_the_servers_cores_is_no_other_program() -> None:
    """What others took of the cores is what remains beside ours."""
    host = HostUse(cores=2.0, busy=1.97, others=0.0)
    assert "OthersOnServerCores" not in codes(judged(1.45, 0.5, shares=True, host=host))


# ---------------------------------------------------------------- the report


def test_the_report_has_the_curves_their_chart_and_the_balancer() -> None:
    html = page_html(report_page(RESULTS))
    section = html.partition('<section id="scaling"')[2].partition("</section>")[0]
    assert "uvicorn on shortbody: 4 workers answer 3.8" in section
    assert "daphne behind HAProxy" in section
    assert "the busiest answered 1.50 times the mean share" in section
    assert "HAProxy 2.6.12, sent there from the controller" in section
    assert "What the balancer took" in section
    assert "The curves end at 4 workers" in section
    assert section.count("<svg") >= 3
    assert "nan" not in section.lower()


def test_few_cores_are_said_in_the_report_and_on_the_terminal() -> None:
    results = results_of(scaled(cores=1))
    html = page_html(report_page(results))
    assert "2 workers had 1 core of the server’s host" in html
    lines = [text for label, text in caveat_lines(results.summary, results.runs) if label == "Scaling"]
    assert any("4 workers had 1 core" in line for line in lines)
    assert any(line.startswith("uvicorn on shortbody: 4 workers answer ") for line in lines)
    assert not any("The curves end" in line for line in lines)


def test_a_benchmark_of_one_number_of_workers_has_no_such_section() -> None:
    plain = scaled(msgspec.structs.replace(SCALED, server_workers=(1,), balancers=("",)))
    results = results_of(plain)
    assert 'id="scaling"' not in page_html(report_page(results))
    assert not any(label == "Scaling" for label, _ in caveat_lines(results.summary, results.runs))


def test_the_csv_has_efficiency_imbalance_and_memory_by_worker() -> None:
    rows = list(csv.DictReader(io.StringIO(EXPORTER.content(RESULTS).decode())))
    (row,) = [
        row
        for row in rows
        if (row["server"], row["endpoint"], row["workers"], row["balancer"])
        == ("daphne", "shortbody", "4", "haproxy")
    ]
    assert float(row["efficiency"]) == pytest.approx(0.8, rel=0.02)
    assert float(row["efficiency_low"]) < float(row["efficiency"]) < float(row["efficiency_high"])
    assert float(row["largest_share_over_mean"]) == pytest.approx(UNEVEN["daphne"], rel=1e-3)
    assert float(row["rss_bytes_per_worker"]) == pytest.approx(71e6)
    assert float(row["balancer_core_share"]) == pytest.approx(BALANCER_CORE_SHARE)
    direct = [row for row in rows if not row["balancer"]]
    assert direct and all(row["balancer_core_share"] == "" for row in direct)


# ---------------------------------------------------------------- the paper's claim


def verdicts(results: Results) -> list[tuple[str, str, str]]:
    return [(one.verdict, one.here, one.note) for one in CLAIM.judge(results)]


def test_the_claim_is_confirmed_where_workers_had_a_core_each() -> None:
    workers, linear, balancer = verdicts(RESULTS)
    assert workers[:2] == (CONFIRMED, "uvicorn: 4 of 4 workers answered; hypercorn: 4 of 4 workers answered")
    assert linear[0] == CONFIRMED
    assert "uvicorn on shortbody 96 %" in linear[1] and "with 4 workers" in linear[1]
    assert balancer[0] == CONFIRMED
    assert balancer[1].startswith("4 of 4 processes answered behind HAProxy, ")


def test_the_claim_is_untested_where_workers_shared_a_core_and_says_so() -> None:
    workers, linear, balancer = verdicts(results_of(scaled(cores=1)))
    assert workers[0] == balancer[0] == CONFIRMED
    assert linear[0] == UNTESTED
    assert linear[2] == "the server’s host had 1 core for 2 workers of it"


def test_the_claim_is_untested_without_several_workers_and_says_what_to_ask_for() -> None:
    plain = results_of(scaled(msgspec.structs.replace(SCALED, server_workers=(1,), balancers=("",))))
    found = verdicts(plain)
    assert [verdict for verdict, _, _ in found] == [UNTESTED] * 3
    assert "--workers 1,2" in found[0][2] and "--balancer none,haproxy" in found[2][2]


@pytest.mark.parametrize(
    ("efficiency", "expected"),
    [
        (Efficiency(0.97, 0.95, 0.99, 5), CONFIRMED),
        (Efficiency(0.92, 0.88, 0.96, 5), INCONCLUSIVE),
        (Efficiency(0.7, 0.6, 0.8, 5), REFUTED),
        (Efficiency(0.97, None, None, 1), INCONCLUSIVE),
    ],
)
def test_near_linear_is_within_a_tenth(efficiency: Efficiency, expected: str) -> None:
    assert linear_verdict(efficiency) == expected


def test_daphnes_claim_falls_with_workers_of_its_own() -> None:
    listening = msgspec.structs.replace(LISTENING[1], max_workers=None)
    made = scaled()
    plan = msgspec.structs.replace(made.plan, servers=(LISTENING[0], listening, LISTENING[2]))
    alone = [
        msgspec.structs.replace(
            run,
            cell=run.cell.without_balancer,
            balancer=None,
            run_id=run.run_id.replace("-behind-haproxy", ""),
        )
        for run in made.runs
        if run.cell.server == "daphne" and run.cell.workers == 2
    ]
    planned = tuple(
        msgspec.structs.replace(one, cell=one.cell.without_balancer, id=one.id.replace("-behind-haproxy", ""))
        for one in plan.runs
        if one.cell.server == "daphne" and one.cell.workers == 2
    )
    plan = msgspec.structs.replace(plan, runs=planned)
    results = Results(plan, made.environment, summarise(plan, alone), alone)
    assert verdicts(results)[2][0] == REFUTED


# ---------------------------------------------------------------- what is proven of processes on Unix sockets

TOLD: Configuration = {
    "pid": 7,
    "scheme": "http",
    "backlog": None,
    "backlog_limit": 4096,
    "tcp_nodelay": None,
}
SEEN = ServerSeen(
    configurations=(TOLD,),
    accepting_pids=(7,),
    status_line="HTTP/1.1 200 OK",
    header_lines=("content-length: 2",),
    head_bytes=60,
    kept_alive=True,
    idle_seconds=0.05,
    requests=10,
    log_lines=0,
    log_bytes=100,
    unix_backlog=2048,
)


def proven(seen: ServerSeen, workers: int = 2) -> dict[str, SettingProof]:
    found = prove(SERVERS[0], workers, seen, serving=Serving("unix"))
    return {one.setting: one for one in found}


def test_a_unix_sockets_backlog_is_held_against_the_settings() -> None:
    assert proven(SEEN)["backlog"].verdict == "proven"
    assert proven(replace(SEEN, unix_backlog=100))["backlog"].verdict == "contradicted"
    assert proven(replace(SEEN, unix_backlog=None))["backlog"].verdict == "not_observable"


def test_several_processes_are_seen_as_one_server_and_what_one_does_otherwise_shows() -> None:
    other = replace(
        SEEN,
        configurations=({**TOLD, "pid": 5},),
        accepting_pids=(5,),
        kept_alive=False,
        log_lines=9,
        unix_backlog=100,
    )
    seen = together([SEEN, other])
    assert [one["pid"] for one in seen.configurations] == [5, 7]
    assert (seen.accepting_pids, seen.kept_alive, seen.unix_backlog) == ((5, 7), False, 100)
    assert (seen.requests, seen.log_lines, seen.log_bytes) == (20, 9, 200)
    assert proven(seen)["backlog"].verdict == proven(seen)["keep_alive"].verdict == "contradicted"
    assert proven(seen)["workers"].verdict == "proven"
    assert proven(seen, workers=3)["workers"].verdict == "contradicted"
    assert together([SEEN, replace(other, accepting_pids=None)]).accepting_pids is None


def test_haproxys_version_is_read_from_its_words() -> None:
    words = "HAProxy version 2.6.12-1+deb12u4 2025/10/01 - https://haproxy.org/"
    assert version_in(words) == "2.6.12-1+deb12u4"
    assert version_in("something else") == "something else"
