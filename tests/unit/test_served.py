"""TLS and protocols as dimensions: how they are asked for, planned, named and kept apart."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import msgspec
import pytest

from bench.catalogue.read import load_profiles
from bench.clients import CLIENTS
from bench.errors import CatalogueError, UsageError
from bench.plan.plan import plan_runs
from bench.plan.request import BenchRequest
from bench.plan.serving import check_protocol, with_serving
from bench.results.cell import Cell
from bench.results.summarise import summarise
from bench.results.summary import CellSummary, Summary, ranking_cells
from bench.served import HTTP_PROTOCOLS, Served
from bench.spec import Endpoint
from bench.verdicts.contest import throughput_fields
from reports.exporters.csv import cells_csv
from reports.words.served import served_words
from tests.helpers.endpoints import ENDPOINTS
from tests.helpers.results_example import QUICK, SERVERS, example

CELL = Cell("uvicorn", "shortbody", 1, 50, "lab")
SOCKETS = Endpoint("sockets", "/api/sockets", "", None, protocol="websocket")


def test_a_cell_without_them_is_called_as_it_always_was() -> None:
    assert (CELL.id, CELL.title) == ("uvicorn-shortbody-w1-c50", "uvicorn shortbody")
    sockets = msgspec.structs.replace(CELL, endpoint="sockets", protocol="websocket")
    assert (sockets.id, sockets.title) == ("uvicorn-sockets-w1-c50", "uvicorn sockets")


def test_ids_and_titles_say_them() -> None:
    tls = msgspec.structs.replace(CELL, tls=True)
    both = msgspec.structs.replace(tls, protocol="h2", rate_per_second=62.5)
    assert (tls.id, tls.title) == ("uvicorn-shortbody-w1-c50-tls", "uvicorn shortbody with TLS")
    assert both.id == "uvicorn-shortbody-w1-c50-h2-tls-r62.5"
    assert both.title == "uvicorn shortbody over HTTP/2 with TLS at 62.5 requests/s"
    assert both.closed_loop.served == Served("h2", tls=True)


def test_all_ways_to_reach_a_cell_have_ids_of_their_own() -> None:
    ways = [
        msgspec.structs.replace(CELL, tls=tls, protocol=protocol)
        for tls in (False, True)
        for protocol in HTTP_PROTOCOLS
    ]
    assert len({cell.id for cell in ways}) == len({cell.title for cell in ways}) == len(ways)


def test_each_multiplies_the_cells_and_what_no_client_speaks_is_skipped_with_the_reason() -> None:
    profile = msgspec.structs.replace(QUICK, tls=(False, True), protocols=("http/1.1", "h3"))
    runs, skipped = plan_runs(SERVERS, ENDPOINTS, profile, "lab", 1)
    plain, _ = plan_runs(SERVERS, ENDPOINTS, QUICK, "lab", 1)
    assert len({run.cell for run in runs} | {one.cell for one in skipped}) == 4 * len(plain)
    assert {one.reason for one in skipped if one.cell.protocol == "h3"} == {
        "our engine does not speak HTTP/3"
    }


def test_an_endpoint_of_another_protocol_has_its_own_whatever_is_asked_for() -> None:
    profile = msgspec.structs.replace(QUICK, tls=(True,), protocols=HTTP_PROTOCOLS)
    runs, skipped = plan_runs(SERVERS, (SOCKETS,), profile, "lab", 1)
    found = [run.cell for run in runs] + [one.cell for one in skipped]
    assert {cell.served for cell in found} == {Served("websocket", tls=True)}
    assert len(found) == len(SERVERS)


def test_options_are_taken_before_the_profile(tmp_path: Path) -> None:
    request = BenchRequest(root=tmp_path)
    profile = msgspec.structs.replace(QUICK, tls=(True,))
    assert with_serving(profile, request) == profile
    asked = msgspec.structs.replace(request, tls="both", protocols=("h2", "http/1.1", "h2"))
    found = with_serving(profile, asked)
    assert (found.tls, found.protocols) == ((False, True), ("h2", "http/1.1"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("http2", "there is no protocol 'http2'"),
        ("h3", "no load is made over HTTP/3"),
        ("websocket", "no load is made over WebSocket"),
    ],
)
def test_a_protocol_that_cannot_be_asked_for_is_refused_with_what_to_do(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        check_protocol(name)
    assert "--endpoints" in caught.value.remedy or "h2" in caught.value.remedy


def test_a_wrong_protocol_in_a_profile_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    fields = "connections = 1\nwarmup_seconds = 1\nwindow_seconds = 1\nblocks = 1\n"
    fields += "idle_rest_seconds = 0\nafter_rest_seconds = 0\n"
    path.write_text(f'[profiles.mine]\n{fields}protocols = ["spdy"]\n')
    with pytest.raises(CatalogueError, match=r"own\.toml: mine: there is no protocol 'spdy'"):
        load_profiles(path)
    path.write_text(f"[profiles.mine]\n{fields}tls = []\n")
    with pytest.raises(CatalogueError, match="tls too small"):
        load_profiles(path)
    path.write_text(f"[profiles.mine]\n{fields}tls = [false, true]\n")
    assert load_profiles(path)["mine"].tls == (False, True)


def test_each_way_to_reach_servers_is_ranked_by_its_own_best_client() -> None:
    """A protocol that our engine doesn't speak isn't left out because of those that it does."""
    cells = [msgspec.structs.replace(CELL, client=name) for name in CLIENTS]
    other = msgspec.structs.replace(CELL, protocol="h2", client="fast_http_user")
    assert ranking_cells([*cells, other]) == [CELL, other]


def _with_tls_too() -> Summary:
    """An example's cells twice, the second time with TLS."""
    made = example(QUICK)
    summary = summarise(made.plan, made.runs)
    tls = tuple(msgspec.structs.replace(cell, tls=True) for cell in summary.cells)
    return msgspec.structs.replace(summary, cells=(*summary.cells, *tls))


def test_servers_compete_only_where_they_are_reached_alike() -> None:
    summary = _with_tls_too()
    fields = throughput_fields(summary, [one.name for one in ENDPOINTS])
    assert len(fields) == 2 * len(ENDPOINTS)
    for field in fields:
        assert len({cell.served for cell in field.cells}) == 1
        assert len({cell.server for cell in field.cells}) == len(field.cells) == len(SERVERS)
    assert [field.cells[0].served.tls for field in fields] == [False, True] * len(ENDPOINTS)


def test_what_is_usual_is_named_only_beside_what_is_not() -> None:
    plain, tls, h2 = Served(), Served(tls=True), Served("h2")
    assert served_words(plain, [plain]) == ""
    assert served_words(plain, [plain, tls]) == "without TLS"
    assert served_words(plain, [plain, h2]) == "over HTTP/1.1"
    assert served_words(tls, [tls]) == "with TLS"
    assert served_words(h2, [h2, tls]) == "over HTTP/2 without TLS"
    assert served_words(Served("websocket"), [plain, Served("websocket")]) == ""


def test_tables_and_older_results_have_them() -> None:
    summary = _with_tls_too()
    rows = list(csv.DictReader(io.StringIO(cells_csv(summary))))
    assert [row["tls"] for row in rows] == ["no"] * 9 + ["yes"] * 9
    assert {row["protocol"] for row in rows} == {"http/1.1"}
    older = msgspec.to_builtins(summary.cells[0])
    del older["tls"], older["protocol"]
    assert msgspec.convert(older, CellSummary) == summary.cells[0]
