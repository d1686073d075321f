"""Servers as two processes behind HAProxy: a benchmark of one that has no workers, and of its control."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.results.summary import Summary
from tests.helpers.program import BRIEF_PROFILE, Finished, ended_well, processes_naming, run, run_results
from tests.helpers.this_machine import ThisMachine, this_machine

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="HAProxy may be absent, and no backlog is seen"),
]
PROVEN = ("loop", "workers", "keep_alive", "access_log", "backlog", "headers", "protocol")


class Made(msgspec.Struct, frozen=True):
    """One benchmark of this machine alone."""

    machine: ThisMachine
    done: Finished

    @property
    def folder(self) -> Path:
        return self.machine.results / "behind"

    @property
    def runs(self) -> dict[str, dict[str, Any]]:
        """By server."""
        return {one["cell"]["server"]: one for one in run_results(self.folder)}

    @property
    def summary(self) -> Summary:
        return msgspec.json.decode((self.folder / "summary.json").read_bytes(), type=Summary)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with this_machine(tmp_path_factory.mktemp("scaling"), BRIEF_PROFILE) as machine:
        words = ("--profile", "brief", "--servers", "daphne,uvicorn", "--endpoints", "shortbody")
        done = run(*machine.bench("behind", *words, "--workers", "2", "--balancer", "haproxy"))
        one = Made(machine, done)
        assert ended_well(done, one.folder), done.stderr
        yield one


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_two_processes_share_the_requests_and_count_all_of_them(made: Made, server: str) -> None:
    found = made.runs[server]
    assert (found["cell"]["workers"], found["cell"]["balancer"]) == (2, "haproxy")
    assert len(found["server_pids"]) == 2
    most, least = found["worker_requests"]
    assert most >= least > 0
    counts = found["counts"]
    assert most + least == counts["server"]
    assert counts["server"] - counts["in_flight_at_stop"] <= counts["engine"] <= counts["server"]
    cell = next(one for one in made.summary.cells if one.server == server)
    assert cell.imbalance == pytest.approx(2 * most / (most + least))
    # Few connections through leastconn: neither process is left out.
    assert cell.imbalance is not None and cell.imbalance < 1.5


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_each_process_is_proven_on_its_socket(made: Made, server: str) -> None:
    found = made.runs[server]
    verdicts = {one["setting"]: one for one in found["proof"]}
    assert {name: verdicts[name]["verdict"] for name in PROVEN} == dict.fromkeys(PROVEN, "proven")
    assert verdicts["backlog"]["seen"] == "2048"
    assert verdicts["tcp_nodelay"]["seen"] == "no TCP"
    # One worker each, on a socket in the work folder.
    command = " ".join(found["server_command"])
    assert f"{made.machine.workdir}/server/sockets/1" in command
    assert "--workers 1" in command or server == "daphne"


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_the_balancers_cpu_and_memory_are_apart(made: Made, server: str) -> None:
    found = made.runs[server]
    balancer = found["balancer"]
    assert balancer["version"][0].isdigit()
    assert balancer["cpu"]["cpu_seconds"] > 0 and balancer["cpu"]["processes"] == 1
    assert 3e6 < balancer["pss_bytes"]["median"] <= balancer["rss_bytes"]["median"] < 200e6
    assert [f"sockets/{number}" in balancer["configuration"] for number in (1, 2, 3)] == [True, True, False]
    # None of it is in the server's own figures: these are of its two processes.
    assert found["server_cpu"]["processes"] == 2
    cell = next(one for one in made.summary.cells if one.server == server)
    assert cell.balancer_figures is not None and cell.balancer_figures.core_share is not None


def test_report_and_terminal_name_the_balancer(made: Made) -> None:
    page = (made.folder / "report.html").read_text()
    section = page.partition('<section id="scaling"')[2].partition("</section>")[0]
    assert "ran with one thread" in section and "What the balancer took" in section
    assert "behind HAProxy" in made.done.stdout
    header, *rows = (made.folder / "report.csv").read_text().splitlines()
    column = header.split(",").index("balancer")
    assert len(rows) == 2 and all("haproxy" in row for row in rows) and column


def test_nothing_is_left(made: Made) -> None:
    assert not processes_naming(made.machine.workdir)
