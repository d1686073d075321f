"""The whole pipeline on this machine, as a user runs it: real servers, PostgreSQL and Locust, no SSH."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import msgspec
import psutil
import pytest

from reports.words.numbers import rate
from tests.helpers.ports import free_port
from tests.helpers.program import (
    BRIEF_PROFILE,
    LOCAL_INVENTORY,
    ROOT,
    Finished,
    command,
    ended_well,
    processes_naming,
    run,
    run_results,
)
from tests.helpers.this_machine import provisioned
from tests.helpers.waiting import until

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

BROKEN_SERVER = """
[servers.broken]
package = "uvicorn"
environment_group = "server-uvicorn"
command = ["python", "-c", "print('no such luck'); raise SystemExit(9)"]
[servers.broken.unhonoured_settings]
loop = "it has none"
http_parser = "it has none"
backlog = "it has none"
keep_alive_seconds = "it has none"
access_log = "it has none"
"""


CLIENTS = ["engine", "fast_http_user", "http_user"]


class Place(msgspec.Struct, frozen=True):
    """An inventory of this machine alone, with a work folder of the test's own."""

    workdir: Path
    inventory: Path
    catalogue: Path
    results: Path

    def bench(self, *words: str) -> list[str]:
        return [
            "bench", "--hosts", str(self.inventory), "--catalogue", str(self.catalogue),
            "--profile", "brief", "--results", str(self.results), *words,
        ]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shared_work_folder: Path) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("local")
    (folder / "here.yml").write_text("")
    with provisioned(shared_work_folder) as workdir:
        workdir = workdir
        (folder / "here.yml").write_text(LOCAL_INVENTORY.format(workdir=workdir))
        pairs = BRIEF_PROFILE.replace("brief", "pairs") + "server_workers = [1, 2]\n"
        clients = BRIEF_PROFILE.replace("brief", "clients") + f"clients = {CLIENTS}\n"
        (folder / "own.toml").write_text(BRIEF_PROFILE + pairs + clients + BROKEN_SERVER)
        yield Place(workdir, folder / "here.yml", folder / "own.toml", folder / "results")


@pytest.fixture(scope="module")
def whole(place: Place) -> Finished:
    return run(*place.bench("--name", "whole", "--port", str(free_port())))


def test_it_ends_well_and_the_last_line_is_the_report(whole: Finished, place: Place) -> None:
    assert ended_well(whole, place.results / "whole"), whole.stderr
    assert Path(whole.last_line) == place.results / "whole" / "report.html"
    page = Path(whole.last_line).read_text()
    assert "<svg" in page
    assert "uvicorn" in page


def test_the_end_is_a_table_with_a_row_for_each_cell(whole: Finished, place: Place) -> None:
    title, *lines = whole.stdout.splitlines()
    assert title.split()[:3] == ["endpoint", "server", "requests/s"] and title.endswith("verdict")
    summary = json.loads((place.results / "whole" / "summary.json").read_text())
    rows = {tuple(line.split()[:2]): line for line in lines[: len(summary["cells"])]}
    assert len(rows) == len(summary["cells"])
    for cell in summary["cells"]:
        row = rows[cell["endpoint"], cell["server"]]
        assert (rate(cell["requests_per_second"]["median"]) if cell["valid"] else "void: ") in row
    assert any(re.match(r"Runs    \d+ of 9 runs valid", line) for line in lines)
    assert "none_found" not in whole.stdout and "server_cpu" not in whole.stdout + whole.stderr


def test_every_cell_is_measured_and_summary_json_is_as_its_schema_says(whole: Finished, place: Place) -> None:
    summary = json.loads((place.results / "whole" / "summary.json").read_text())
    jsonschema.validate(summary, json.loads((ROOT / "reports" / "summary.schema.json").read_text()))
    cells = {(cell["server"], cell["endpoint"]) for cell in summary["cells"]}
    assert cells == {
        (server, endpoint)
        for server in ("uvicorn", "daphne", "hypercorn-uvloop")
        for endpoint in ("shortbody", "longbody", "orders")
    }
    assert all(cell["requests_per_second"]["median"] > 50 for cell in summary["cells"])


def test_server_engine_locust_and_spool_count_the_same(whole: Finished, place: Place) -> None:
    runs = run_results(place.results / "whole")
    assert len(runs) == 9
    for one in runs:
        counts = one["counts"]
        assert counts["engine"] > 0
        assert counts["engine"] == counts["locust"] == counts["spool"], one["run_id"]
        assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"], one["run_id"]
        assert one["failures"] == {}, one["run_id"]


def test_every_orders_request_reached_postgresql(whole: Finished, place: Place) -> None:
    used = [one["database"] for one in run_results(place.results / "whole") if one["database"]]
    assert len(used) == 3
    for one in used:
        assert abs(one["transactions"] - 3 * one["requests"]) <= max(50, 0.02 * 3 * one["requests"])
        assert one["rows_fetched"] >= one["requests"]


def test_memory_of_the_servers_whole_tree_is_sampled(whole: Finished, place: Place) -> None:
    for one in run_results(place.results / "whole"):
        assert one["rss_bytes"]["peak"] >= one["rss_bytes"]["median"] > 20e6
        assert one["rss_bytes"]["idle"] > 10e6
        assert len(one["memory"]) >= 8
        expected = 3 if one["cell"]["server"] == "hypercorn-uvloop" else 1
        assert one["server_cpu"]["processes"] == expected


def test_results_are_small(whole: Finished, place: Place) -> None:
    size = sum(path.stat().st_size for path in (place.results / "whole").rglob("*") if path.is_file())
    assert size < 2_000_000


def test_nothing_is_left_running(whole: Finished, place: Place) -> None:
    assert processes_naming(place.workdir) == []
    assert not (place.workdir / "guard" / "sock").exists()


def test_the_controller_stays_small(whole: Finished) -> None:
    """The largest process of the command's own, pip and ansible-inventory among them."""
    assert 0 < whole.largest_rss_bytes < 300e6


def test_the_report_can_be_rendered_again(whole: Finished, place: Place) -> None:
    before = (place.results / "whole" / "report.html").read_bytes()
    again = run("report", str(place.results / "whole"))
    assert again.status == 0, again.stderr
    assert (place.results / "whole" / "report.html").read_bytes() == before
    (place.results / "whole" / "summary.json").unlink()
    assert run("report", str(place.results / "whole")).status == 0


def test_a_server_is_started_with_the_workers_of_its_cell(place: Place) -> None:
    words = [
        "pairs" if word == "brief" else word
        for word in place.bench("--name", "pairs", "--servers", "uvicorn", "--endpoints", "shortbody")
    ]
    done = run(*words, "--port", str(free_port()))
    assert ended_well(done, place.results / "pairs"), done.stderr
    runs = {one["cell"]["workers"]: one for one in run_results(place.results / "pairs")}
    assert {workers: len(one["server_pids"]) for workers, one in runs.items()} == {1: 1, 2: 2}
    assert all(one["counts"]["server"] >= one["counts"]["engine"] > 0 for one in runs.values())


def test_servers_with_requirements_of_their_own_are_measured_and_their_locks_kept(place: Place) -> None:
    """granian and gunicorn have a process above their workers, all of which answer before the load begins."""
    asked = ("--servers", "granian,gunicorn-uvicorn", "--endpoints", "shortbody")
    words = ["pairs" if word == "brief" else word for word in place.bench("--name", "own", *asked)]
    done = run(*words, "--port", str(free_port()))
    assert ended_well(done, place.results / "own"), done.stderr
    runs = run_results(place.results / "own")
    found = {(one["cell"]["server"], one["cell"]["workers"]): one for one in runs}
    assert set(found) == {(server, count) for server in ("granian", "gunicorn-uvicorn") for count in (1, 2)}
    for (_, workers), one in found.items():
        assert len(one["server_pids"]) == workers
        assert one["server_cpu"]["processes"] == workers + 1
        assert one["counts"]["server"] >= one["counts"]["engine"] > 0
    plan = json.loads((place.results / "own" / "plan.json").read_text())
    assert len(plan["own_locks"]) == 2
    for group, sha256 in plan["own_locks"].items():
        text = (place.results / "own" / f"pylock.{group}.toml").read_bytes()
        assert hashlib.sha256(text).hexdigest() == sha256
        assert text == (place.results / "locks" / f"pylock.{group}.toml").read_bytes()
        with (place.results / "own" / f"pylock.{group}.toml").open("a") as file:
            file.write("# altered\n")
    words = ["pairs" if word == "brief" else word for word in place.bench("--name", "own", "--resume")]
    resumed = run(*words)
    assert (resumed.status, "its checksum differs" in resumed.stderr) == (50, True), resumed.stderr


def test_a_post_that_echoes_its_body_is_measured_and_counted_by_all(place: Place) -> None:
    """It is measured where it is named, and no file but its own knows of it."""
    done = run(*place.bench("--name", "echo", "--endpoints", "echo", "--port", str(free_port())))
    assert ended_well(done, place.results / "echo"), done.stderr
    runs = run_results(place.results / "echo")
    assert [one["cell"]["endpoint"] for one in runs] == ["echo"] * 3
    for one in runs:
        counts = one["counts"]
        assert counts["engine"] == counts["locust"] == counts["spool"] > 100, one["run_id"]
        assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"], one["run_id"]
        assert one["failures"] == {}, one["run_id"]
        assert one["database"] is None
    assert "POST /api/echo with 1,000 bytes" in Path(done.last_line).read_text()


def test_locusts_own_clients_post_it_too(place: Place) -> None:
    words = [
        "clients" if word == "brief" else word
        for word in place.bench("--name", "clients", "--servers", "uvicorn", "--endpoints", "echo")
    ]
    done = run(*words, "--port", str(free_port()))
    assert ended_well(done, place.results / "clients"), done.stderr
    runs = run_results(place.results / "clients")
    assert sorted(one["cell"]["client"] for one in runs) == sorted(CLIENTS)
    for one in runs:
        assert one["failures"] == {}, one["run_id"]
        counts = one["counts"]
        assert counts["engine"] == counts["locust"] == counts["spool"] > 50, one["run_id"]
        assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"], one["run_id"]


def test_resume_elsewhere_is_refused(whole: Finished, place: Place) -> None:
    done = run("bench", "--results", str(place.results), "--name", "whole", "--resume")
    assert done.status == 2, done.stderr
    assert "was measured on here" in done.stderr


@pytest.fixture(scope="module")
def rated(place: Place) -> Finished:
    """The last rate is more than the server can answer."""
    words = ("--servers", "uvicorn", "--endpoints", "shortbody", "--rate", "300,50%,300%")
    return run(*place.bench("--name", "rated", *words, "--port", str(free_port())))


def test_a_stated_rate_is_offered_and_answered(rated: Finished, place: Place) -> None:
    assert ended_well(rated, place.results / "rated"), rated.stderr
    assert "uvicorn shortbody at 300 requests/s, block 1/1" in rated.stderr
    one = next(one for one in run_results(place.results / "rated") if one["cell"]["rate_per_second"])
    assert one["open_loop"]["offered_rate_per_second"] == 300
    assert one["open_loop"]["achieved_rate_per_second"] == one["requests_per_second"]
    if one["valid"]:
        assert abs(one["requests_per_second"] - 300) <= 6
        assert one["open_loop"]["backlog_dropped"] == 0
    assert "Latency at stated rates" in (place.results / "rated" / "report.html").read_text()


def test_all_parties_count_the_same_at_stated_rates(rated: Finished, place: Place) -> None:
    for one in run_results(place.results / "rated"):
        counts = one["counts"]
        assert counts["engine"] == counts["locust"] == counts["spool"] > 0, one["run_id"]
        assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"], one["run_id"]


def test_a_share_is_of_the_servers_own_maximum(rated: Finished, place: Place) -> None:
    runs = run_results(place.results / "rated")
    closed = next(one for one in runs if one["open_loop"] is None)
    shares = {
        one["cell"]["rate_share"]: one["open_loop"]["offered_rate_per_second"]
        for one in runs
        if one["cell"]["rate_share"]
    }
    if not closed["valid"]:
        assert shares == {}
        assert "no valid closed-loop run shows the maximum" in rated.stderr
        return
    assert set(shares) == {0.5, 3.0}
    for share, offered in shares.items():
        assert offered == pytest.approx(share * closed["requests_per_second"], rel=0.006)


def test_latency_at_a_stated_rate_runs_from_the_intended_start(rated: Finished, place: Place) -> None:
    """No request took less than its service time; those of an overload waited longer for their turn."""
    for one in run_results(place.results / "rated"):
        if one["open_loop"] is None:
            continue
        latency, service = one["latency_seconds"], one["open_loop"]["service_latency_seconds"]
        # Those that 600 requests are too few for are in neither.
        known = [name for name in ("p50", "p90", "p99", "p99_9", "max") if latency[name] is not None]
        assert {"p50", "p90", "max"} <= set(known)
        assert all(latency[name] >= service[name] for name in known)
        if one["cell"]["rate_share"] == 3.0:
            assert latency["p50"] > 5 * service["p50"]
            assert latency["p50"] > 0.3
            assert one["requests_per_second"] < 0.8 * one["open_loop"]["offered_rate_per_second"]
            codes = {reason["code"] for reason in one["reasons"]}
            assert codes & {"ServerBehindRate", "LoadBehindRate", "RateSpoiltByOthers"}


def test_ctrl_c_saves_what_was_measured_and_resume_goes_on(place: Place) -> None:
    words = place.bench("--name", "stopped", "--servers", "uvicorn", "--port", str(free_port()))
    process = subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    runs = place.results / "stopped" / "runs"
    deadline = time.monotonic() + 120
    while not list(runs.glob("0*/run.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "--resume" in stderr
    assert processes_naming(place.workdir) == []
    saved = {path.parent.name: path.read_bytes() for path in runs.glob("*/run.json")}
    assert 1 <= len(saved) < 3

    resumed = run(*words, "--resume")
    assert ended_well(resumed, place.results / "stopped"), resumed.stderr
    assert len(run_results(place.results / "stopped")) == 3
    assert all((runs / name / "run.json").read_bytes() == data for name, data in saved.items())


@pytest.mark.parametrize(
    ("party", "folder", "status"), [("the agent", "agent", 0), ("PostgreSQL", "postgres", 33)]
)
def test_a_party_that_ends_in_mid_run_ends_the_run_at_once(
    place: Place, party: str, folder: str, status: int
) -> None:
    """An agent is started again and the run repeated. A database would have to be filled again: it is not."""
    name = f"without-{folder}"
    words = place.bench("--name", name, "--servers", "uvicorn", "--endpoints", "orders")
    samples = place.workdir / "agent"
    for left in samples.glob("001*.jsonl"):
        left.unlink()  # by a benchmark that was interrupted: the file says that a run is on
    process = subprocess.Popen(
        command(*words, "--port", str(free_port())),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until(lambda: bool(list(samples.glob("001*.jsonl"))), seconds=120)
        process_of(place.workdir / folder).kill()
        _, stderr = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert f"{party} ended in mid-run with status -9" in stderr, stderr
    assert processes_naming(place.workdir) == []
    if status:
        assert process.returncode == status, stderr
        return
    assert ended_well(Finished(process.returncode, "", stderr), place.results / name), stderr
    (one,) = run_results(place.results / name)
    assert one["attempt"] == 2
    summary = json.loads((place.results / name / "summary.json").read_text())
    assert "run_repeated" in {reason["code"] for reason in summary["warnings"]}


def process_of(folder: Path) -> psutil.Process:
    """The first process that was started in this folder or that names it."""
    found = [
        one
        for one in psutil.process_iter(["cmdline", "cwd"])
        if one.info["cwd"] == str(folder) or str(folder) in " ".join(one.info["cmdline"] or [])
    ]
    return min(found, key=lambda one: one.create_time())


def test_a_port_that_is_taken_is_one_line_and_status_30(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = run(*place.bench("--servers", "uvicorn", "--endpoints", "shortbody", "--port", str(port)))
    assert done.status == 30, done.stderr
    assert f"127.0.0.1:{port} is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_does_not_start_shows_the_end_of_its_log(place: Place) -> None:
    done = run(*place.bench("--servers", "broken", "--endpoints", "shortbody", "--port", str(free_port())))
    assert done.status == 31, done.stderr
    assert "no such luck" in done.stderr
    assert "ended with status 9" in done.stderr
    assert "Traceback" not in done.stderr
    assert processes_naming(place.workdir) == []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--servers", "uvicron"), 2, "Did you mean uvicorn"),
        (("--endpoints", "nothing"), 2, "shortbody"),
        (("--hosts", "nowhere"), 10, "nowhere"),
        (("--profile", "never"), 2, "quick"),
        (("--rate", "500,fast"), 2, "'fast' is no rate"),
        (("--arrivals", "never"), 2, "poisson"),
    ],
)
def test_a_slip_is_told_with_its_remedy(words: tuple[str, ...], status: int, said: str) -> None:
    done = run("bench", *words)
    assert done.status == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
