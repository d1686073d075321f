"""The paper's method through the whole pipeline on this machine: three clients on the server's own cores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.helpers.ports import free_port
from tests.helpers.program import (
    LOCAL_INVENTORY,
    Finished,
    ended_well,
    processes_naming,
    run,
    run_results,
)
from tests.helpers.this_machine import provisioned

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

METHOD_PROFILE = """
[profiles.method]
connections = 10
warmup_seconds = 1
window_seconds = 2
blocks = 1
idle_rest_seconds = 0.2
after_rest_seconds = 0.2
load_workers_in_all = 3
version_set = "paper"
clients = ["http_user", "fast_http_user", "engine"]
load_on = ["server"]
"""
CLIENTS = ("http_user", "fast_http_user", "engine")


class Made(msgspec.Struct, frozen=True):
    """How the benchmark ended, and where its results and work folder are."""

    done: Finished
    results: Path
    workdir: Path

    def runs(self, client: str) -> list[dict[str, Any]]:
        return [one for one in run_results(self.results) if one["cell"]["client"] == client]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, shared_work_folder: Path) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("paper")
    with provisioned(shared_work_folder) as workdir:
        (folder / "here.yml").write_text(LOCAL_INVENTORY.format(workdir=workdir))
        (folder / "own.toml").write_text(METHOD_PROFILE)
        done = run(
            "bench", "--hosts", str(folder / "here.yml"), "--catalogue", str(folder / "own.toml"),
            "--profile", "method", "--servers", "uvicorn", "--endpoints", "shortbody,orders",
            "--results", str(folder / "results"), "--port", str(free_port()), "--name", "paper",
        )  # fmt: skip
        yield Made(done, folder / "results" / "paper", workdir)


def test_every_client_is_measured_on_the_papers_version(made: Made) -> None:
    assert ended_well(made.done, made.results), made.done.stderr
    for client in CLIENTS:
        found = made.runs(client)
        assert {one["cell"]["endpoint"] for one in found} == {"shortbody", "orders"}
        assert {one["server_version"] for one in found} == {"0.27.0.post1"}
        assert all(one["requests_per_second"] > 20 for one in found)


def test_all_parties_count_the_same_whoever_asks(made: Made) -> None:
    for one in run_results(made.results):
        counts = one["counts"]
        assert counts["engine"] == counts["locust"] == counts["spool"] > 0
        assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"]
        assert one["failures"] == {}
    for one in run_results(made.results):
        if one["cell"]["endpoint"] == "orders":
            assert one["database"]["transactions_per_request"] == pytest.approx(3, abs=0.2)


def test_the_load_is_three_workers_of_the_client_asked_for(made: Made) -> None:
    for client in CLIENTS:
        for one in made.runs(client):
            assert len(one["load_workers"]) == 3
            by_engine = sum(worker["engine_core_share"] for worker in one["load_workers"])
            assert (by_engine > 0) is (client == "engine")


def test_a_busy_generator_voids_nothing_here(made: Made) -> None:
    generators = ("LoadWorkerAtLimit", "LoadSharesCores")
    reasons = [reason for one in run_results(made.results) for reason in one["reasons"]]
    assert not [one for one in reasons if one["code"] in generators and one["invalidates"]]


def test_the_report_has_the_papers_tables_and_nothing_runs_on(made: Made) -> None:
    page = (made.results / "report.html").read_text()
    assert 'id="method-of-paper"' in page
    assert "FastHttpUser, on the server’s cores" in page
    assert "uvicorn-paper 0.27.0.post1; the paper: 4,253" in page
    assert processes_naming(made.workdir) == []
