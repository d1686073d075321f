"""The paper's method: cells by client and place of the load, where that load runs, and what is said of it."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from bench.environment.hosts import Host, Inventory
from bench.plan.placement import load_on_server_cores, place, place_on_server
from bench.plan.plan import plan_runs
from bench.results.cell import Cell
from bench.results.run import RunResult
from bench.results.summarise import summarise
from bench.verdicts.contest import contests
from reports.exporters.csv import cells_csv
from reports.paper import figures as paper
from reports.paper.method import Method, method_of
from reports.tables.table import Table
from session.finish import render_again
from tests.helpers.endpoints import ENDPOINTS
from tests.helpers.results_example import PAPER, QUICK, SERVERS, environment, example, papers_method

MADE = papers_method()
SUMMARY = summarise(MADE.plan, MADE.runs)


def method() -> Method:
    found = method_of(MADE.plan, MADE.environment, SUMMARY, MADE.runs)
    assert found is not None
    return found


def rows(table: Table, server: str) -> dict[str, tuple[str, ...]]:
    """By the load's title, below the server's heading."""
    found: dict[str, tuple[str, ...]] = {}
    heading = ""
    for row in table.rows:
        if row.tone == "group":
            heading = row.cells[0]
        elif heading.startswith(server):
            found[row.cells[0]] = row.cells[1:]
    return found


# ---------------------------------------------------------------- the plan


def test_every_cell_is_planned_with_each_client_at_each_place() -> None:
    planned, _ = plan_runs(SERVERS, ENDPOINTS, PAPER, "lab", seed=3)
    cells = [run.cell for run in planned]
    assert len(cells) == len(set(cells)) == 3 * 3 * 3 * 2
    assert len({run.id for run in planned}) == len(planned)


def test_load_workers_change_as_seldom_as_can_be() -> None:
    two_blocks = msgspec.structs.replace(PAPER, blocks=2)
    planned, _ = plan_runs(SERVERS, ENDPOINTS, two_blocks, "lab", seed=3)
    for block in (1, 2):
        ways = [(run.cell.client, run.cell.load_on) for run in planned if run.block == block]
        changes = sum(now != then for then, now in pairwise(ways))
        assert changes == 5


def test_a_stated_rate_is_the_engines_on_the_load_hosts() -> None:
    rated = msgspec.structs.replace(PAPER, rates=("500",))
    planned, _ = plan_runs(SERVERS, ENDPOINTS, rated, "lab", seed=3)
    stated = [run.cell for run in planned if run.cell.is_open_loop]
    assert len(stated) == 9
    assert not any(cell.is_of_method for cell in stated)


def test_cells_of_the_usual_load_are_named_and_read_as_they_were() -> None:
    kept = b'{"server":"uvicorn","endpoint":"orders","workers":1,"connections":50,"environment":"lab"}'
    cell = msgspec.json.decode(kept, type=Cell)
    assert (cell.client, cell.load_on, cell.is_of_method) == ("engine", "loadgen", False)
    assert (cell.id, cell.title) == ("uvicorn-orders-w1-c50", "uvicorn orders")
    slow = msgspec.structs.replace(cell, client="http_user", load_on="server")
    assert slow.id == "uvicorn-orders-w1-c50-http_user-on-server"
    assert slow.title == "uvicorn orders by HttpUser on the server's host"


# ---------------------------------------------------------------- the place of the load


def inventory(loads: int) -> Inventory:
    hosts = tuple(Host(name=f"lab-load-{number}", groups=("loadgen",)) for number in range(1, loads + 1))
    return Inventory("lab", "lab.yml", Host(name="lab-server", groups=("server",)), hosts)


@pytest.mark.parametrize(("loads", "spread"), [(1, [6]), (2, [3, 3])])
def test_six_workers_are_spread_over_the_load_hosts(loads: int, spread: list[int]) -> None:
    placed = place(inventory(loads), environment().facts, workers_per_host=None, workers_in_all=6)
    assert [len(cores) for cores in placed.load.values()] == spread


def test_an_odd_number_of_workers_is_spread_whole_and_every_host_has_one() -> None:
    facts = environment().facts
    placed = place(inventory(2), facts, workers_per_host=None, workers_in_all=5)
    assert [len(cores) for cores in placed.load.values()] == [3, 2]
    placed = place(inventory(2), facts, workers_per_host=None, workers_in_all=1)
    assert [len(cores) for cores in placed.load.values()] == [1, 1]


@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_on_the_servers_host_all_workers_share_its_cores_unpinned(system: str) -> None:
    facts = environment(system).facts
    usual = place(inventory(2), facts, workers_per_host=None)
    placed = place_on_server(usual, inventory(2), facts, 6)
    assert placed.load == {"lab-server": (None,) * 6}
    assert load_on_server_cores(placed, "lab-server") == {f"lab-server/{index}" for index in range(6)}
    assert placed.server == (facts["lab-server"].cores_usable if system == "Linux" else None)
    assert placed.database == usual.database


# ---------------------------------------------------------------- the report


def test_servers_are_ranked_by_our_engine_on_load_hosts_only() -> None:
    ranked = SUMMARY.closed_loop_cells
    assert len(ranked) == 9
    assert not any(cell.cell.is_of_method for cell in ranked)
    found = contests(SUMMARY, MADE.runs, [endpoint.name for endpoint in ENDPOINTS])
    assert [len(contest.cells) for contest in found] == [3, 3, 3]


def test_the_usual_benchmark_has_no_such_section() -> None:
    made = example(QUICK)
    assert method_of(made.plan, made.environment, summarise(made.plan, made.runs), made.runs) is None


def test_each_figure_stands_beside_the_papers_with_its_ratio_and_maker() -> None:
    table = next(one.table for one in method().endpoints if one.title == paper.TITLES["shortbody"])
    uvicorn = rows(table, "uvicorn")
    assert len(uvicorn) == 6
    speed, ratio, _, rss_ratio, maker = uvicorn["HttpUser, on hosts of its own"]
    assert (speed, ratio) == ("1,360", "0.32"), "1,360 of 4,253"
    assert float(rss_ratio) == pytest.approx(62 / 79.4, abs=0.02)
    assert maker.startswith("the generator: it was at its limit, the server was not (server 0.33, generator")
    shared = uvicorn["HttpUser, on the server’s cores"][-1]
    assert shared.startswith("server and generator together: they filled the cores that they share")
    assert uvicorn["Our engine, on hosts of its own"][-1].startswith("the server: its CPU was used up")
    assert rows(table, "hypercorn")["Our engine, on hosts of its own"][-1].startswith(
        "TCP: answers wait 44.6 ms for delayed acknowledgements"
    )


def test_a_void_figure_has_no_ratio_and_says_why() -> None:
    table = next(one.table for one in method().endpoints if one.title == paper.TITLES["longbody"])
    refused = rows(table, "daphne")["HttpUser, on the server’s cores (refused)"]
    assert refused[:4] == ("–",) * 4
    assert refused[4].startswith("says nothing: the hypervisor took 0.31")


def test_who_made_the_figures_is_said_of_each_server() -> None:
    said = {one.title: one.sentences for one in method().endpoints}
    uvicorn, daphne, hypercorn = said[paper.TITLES["shortbody"]]
    assert uvicorn.startswith(
        "uvicorn: the generator makes the figures of Locust’s clients: our engine on hosts of its own gets "
        "out of the same server "
    )
    assert "11.7 times what HttpUser on hosts of its own gets" in uvicorn, "15,980 of 1,360"
    assert daphne.startswith("daphne: the generator makes")
    assert hypercorn.startswith("hypercorn: TCP makes its figure")
    assert "median latency 44.6 ms" in hypercorn


def test_where_locusts_clients_get_as_much_the_server_made_the_figure() -> None:
    alike = MADE.changed(
        lambda run: True, lambda run: msgspec.structs.replace(run, requests_per_second=900.0)
    )
    summary = summarise(alike.plan, alike.runs)
    found = method_of(alike.plan, alike.environment, summary, alike.runs)
    assert found is not None
    assert found.endpoints[0].sentences[0] == (
        "uvicorn: the server makes its figures: our engine gets hardly more than Locust’s clients do."
    )


def test_a_server_that_fills_its_core_with_its_database_has_no_cpu_to_spare() -> None:
    def shared(run: RunResult) -> RunResult:
        limit = msgspec.structs.replace(run.limit, name="server_and_database_cpu")
        return msgspec.structs.replace(run, requests_per_second=900.0, limit=limit, reasons=())

    alike = MADE.changed(lambda run: True, shared)
    found = method_of(alike.plan, alike.environment, summarise(alike.plan, alike.runs), alike.runs)
    assert found is not None
    assert "the server makes its figures" in found.endpoints[0].sentences[0]


def test_without_a_part_at_its_limit_nobody_is_named() -> None:
    def idle(run: RunResult) -> RunResult:
        limit = msgspec.structs.replace(run.limit, name="none_found")
        return msgspec.structs.replace(run, requests_per_second=900.0, limit=limit, reasons=())

    alike = MADE.changed(lambda run: True, idle)
    found = method_of(alike.plan, alike.environment, summarise(alike.plan, alike.runs), alike.runs)
    assert found is not None
    assert "can’t be told" in found.endpoints[0].sentences[0]


def test_how_far_apart_the_servers_are_by_each_way() -> None:
    table = method().apart
    shown = {row.cells[0]: row.cells[1:] for row in table.rows}
    assert shown["The paper"][1] == "1.38 (uvicorn over daphne)"
    assert shown["HttpUser, on hosts of its own"][1].startswith("1.21 (")
    assert shown["Our engine, on hosts of its own"][1].endswith("(uvicorn over hypercorn)")
    void = shown["HttpUser, on the server’s cores"][0]
    assert "daphne" not in void, "a void figure is in no ratio"


def test_every_line_of_the_csv_says_how_its_load_was_made() -> None:
    lines = list(csv.DictReader(io.StringIO(cells_csv(SUMMARY))))
    assert len({(one["server"], one["endpoint"], one["client"], one["load_on"]) for one in lines}) == 54


def test_the_report_has_the_section_in_place_of_the_plain_tables(tmp_path: Path) -> None:
    page = render_again(MADE.save(tmp_path)).read_text()
    assert page.count('id="method-of-paper"') == 1
    assert page.count("Table 2. shortbody") == 3, "heading, region and caption of one table"
    plain = render_again(example(QUICK).save(tmp_path / "plain")).read_text()
    assert "method-of-paper" not in plain
