"""What makes the load: each client is a line of the registry and a folder with its program."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.catalogue.read import load_profiles
from bench.clients import CLIENTS, USUAL_CLIENT, client_of
from bench.errors import CatalogueError
from bench.results.cell import Cell
from bench.results.summary import ranking_cells
from loadgen.cluster import load_program

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ROOT / "loadgen" / "onhost" / "clients"


def test_each_client_has_its_folder_and_each_folder_its_client() -> None:
    assert {path.parent.name for path in FOLDERS.glob("*/__init__.py")} == set(CLIENTS)
    for name in CLIENTS:
        assert (ROOT / load_program(name, None).locustfile).is_file()


def test_servers_are_ranked_by_the_usual_client_and_before_others_by_an_engine() -> None:
    cells = [Cell("uvicorn", "shortbody", 1, 50, "lab", client=name) for name in CLIENTS]
    assert [cell.client for cell in ranking_cells(cells)] == [USUAL_CLIENT]
    assert client_of(USUAL_CLIENT).has_engine
    on_server = [Cell("uvicorn", "shortbody", 1, 50, "lab", load_on="server")]
    by_users = [cell for cell in cells if not client_of(cell.client).is_light]
    assert {cell.client for cell in by_users} == {"fast_http_user", "http_user"}
    assert ranking_cells(by_users + on_server) == on_server
    by_h2load = [cell for cell in cells if cell.client == "h2load"]
    assert ranking_cells(by_users + on_server + by_h2load) == by_h2load


def test_only_what_the_generator_may_have_made_is_of_the_papers_method() -> None:
    cells = [Cell("uvicorn", "shortbody", 1, 50, "lab", client=name) for name in CLIENTS]
    assert {cell.client: cell.is_of_method for cell in cells} == {
        "engine": False,
        "h2load": False,
        "fast_http_user": True,
        "http_user": True,
    }
    assert [cell.client for cell in cells if cell.is_usual_load] == [USUAL_CLIENT]
    by_h2load = next(cell for cell in cells if cell.client == "h2load")
    assert by_h2load.id == "uvicorn-shortbody-w1-c50-h2load-on-loadgen"
    assert by_h2load.title == "uvicorn shortbody by h2load"


def test_a_client_of_another_version_has_its_name_for_a_title() -> None:
    cell = Cell("uvicorn", "shortbody", 1, 50, "lab", client="http9")
    assert cell.id == "uvicorn-shortbody-w1-c50-http9-on-loadgen"
    assert cell.title == "uvicorn shortbody by http9"


def test_a_profile_with_an_unknown_client_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        "[profiles.odd]\nconnections = 1\nwarmup_seconds = 1\nwindow_seconds = 1\nblocks = 1\n"
        'idle_rest_seconds = 0\nafter_rest_seconds = 0\nclients = ["engine", "http9"]\n'
    )
    with pytest.raises(CatalogueError, match="no client http9"):
        load_profiles(path)
