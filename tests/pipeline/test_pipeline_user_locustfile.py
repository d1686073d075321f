"""A user's own locustfile through the whole pipeline: real uvicorn, real Locust clients, no SSH."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from bench.judge.judge import MACHINE_REASONS
from bench.judge.rules.load import LoadWorkerAtLimit
from bench.judge.thresholds import Thresholds
from tests.helpers.ports import free_port
from tests.helpers.program import (
    BRIEF_PROFILE,
    LOCAL_INVENTORY,
    ROOT,
    Finished,
    processes_naming,
    run,
    run_results,
)
from tests.helpers.this_machine import provisioned

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

EXAMPLE = ROOT / "loadgen" / "examples" / "fast_http_user.py"
MISSING_PATH = """
from itertools import count
from locust import FastHttpUser, HttpUser, task

class Lost(HttpUser):
    @task
    def wander(self):
        self.client.get("/nowhere")

class Customer(FastHttpUser):
    turn = count()

    @task
    def orders(self):
        tokens = self.environment.asgibench_tokens
        token = tokens[next(self.turn) % len(tokens)]
        self.client.get("/api/orders", headers={"Authorization": f"Bearer {token}"})
"""
BURNER = """
import time
from locust import FastHttpUser, task

class Burner(FastHttpUser):
    @task
    def burn(self):
        self.client.get("/api/shortbody")
        end = time.process_time() + 0.005
        while time.process_time() < end:
            pass
"""


class Place(msgspec.Struct, frozen=True):
    """This machine alone, with a work folder of the test's own."""

    workdir: Path
    folder: Path

    def bench(self, name: str, locustfile: Path, *words: str) -> Finished:
        return run(
            "bench", "--hosts", str(self.folder / "here.yml"), "--catalogue", str(self.folder / "own.toml"),
            "--profile", "brief", "--results", str(self.folder / "results"), "--servers", "uvicorn",
            "--port", str(free_port()), "--name", name, "--locustfile", str(locustfile), *words,
        )  # fmt: skip

    def result(self, name: str) -> dict[str, Any]:
        (one,) = run_results(self.folder / "results" / name)
        return one

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shared_work_folder: Path) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("own")
    with provisioned(shared_work_folder) as workdir:
        (folder / "here.yml").write_text(LOCAL_INVENTORY.format(workdir=workdir))
        (folder / "own.toml").write_text(BRIEF_PROFILE)
        yield Place(workdir, folder)


def codes(result: dict[str, Any]) -> set[str]:
    """Of the reasons that void the run."""
    return {reason["code"] for reason in result["reasons"] if reason["invalidates"]}


def test_fast_http_user_is_counted_the_same_by_all_and_the_report_tells_of_the_file(place: Place) -> None:
    done = place.bench("fast", EXAMPLE)
    assert done.status in (0, 60), done.stderr
    result = place.result("fast")
    counts = result["counts"]
    assert counts["engine"] == counts["locust"] == counts["spool"] > 100
    assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"]
    assert result["failures"] == {}
    assert sum(second["requests"] for second in result["seconds"]) <= counts["engine"]
    assert result["requests_per_second"] > 50
    assert 0 < result["latency_seconds"]["p50"] < 1
    assert codes(result) <= MACHINE_REASONS | {"LoadWorkerAtLimit"}, "so slow a client may be the limit"
    (worker,) = result["load_workers"]
    assert worker["engine_core_share"] == 0
    busy = worker["locust_core_share_median"] + worker["core_wait_share_median"]
    is_at_limit = busy >= Thresholds().load_worker_at_limit
    # What the hypervisor took counts too, and run.json doesn't have it: only one way can be told.
    assert not is_at_limit or any(reason["code"] == "LoadWorkerAtLimit" for reason in result["reasons"])

    page = Path(done.last_line).read_text()
    assert "locustfile fast_http_user.py (sha256" in page
    assert "Reader (FastHttpUser)" in page
    summary = json.loads((place.folder / "results" / "fast" / "summary.json").read_text())
    jsonschema.validate(summary, json.loads((ROOT / "reports" / "summary.schema.json").read_text()))
    assert [cell["endpoint"] for cell in summary["cells"]] == ["fast_http_user"]
    assert processes_naming(place.workdir) == []


def test_a_missing_path_fails_by_kind_and_orders_are_answered(place: Place) -> None:
    done = place.bench("missing", place.file("missing.py", MISSING_PATH))
    assert done.status == 60, done.stderr
    result = place.result("missing")
    assert set(result["failures"]) == {"bad_status"}
    assert "Failures" in codes(result)
    assert result["requests"] > 0, "the tokens that the file was given are good ones"
    counts = result["counts"]
    assert counts["engine"] == counts["locust"] == counts["spool"]
    assert counts["server"] is None, "the app does not count what it has no endpoint for"
    assert "CountsDisagree" not in codes(result)


def test_a_worker_at_the_limit_of_its_core_voids_the_run(place: Place) -> None:
    done = place.bench("burner", place.file("burner.py", BURNER))
    assert done.status == 60, done.stderr
    result = place.result("burner")
    assert codes(result) & {LoadWorkerAtLimit.__name__, *MACHINE_REASONS}
    if LoadWorkerAtLimit.__name__ in codes(result):
        assert result["limit"]["name"] == "load_generator"


def test_a_file_that_fails_on_the_load_host_shows_the_end_of_its_log(place: Place) -> None:
    path = place.file("broken.py", "from locust import HttpUser\n1 / 0\nclass A(HttpUser): ...\n")
    done = place.bench("broken", path)
    assert done.status == 40, done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr.partition("ZeroDivisionError")[2]
    assert processes_naming(place.workdir) == []


def test_resume_refuses_a_file_that_has_changed(place: Place) -> None:
    path = place.file("changing.py", EXAMPLE.read_text())
    place.bench("changing", path)
    path.write_text(EXAMPLE.read_text() + "\n")
    again = place.bench("changing", path, "--resume")
    assert again.status == 2, again.stderr
    assert "was not planned with this changing.py" in again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--locustfile", str(EXAMPLE), "--endpoints", "shortbody"), "Leave one of the two out"),
        (("--locustfile", "nowhere.py"), "can't be read"),
        (("--locustfile", str(EXAMPLE), "--profile", "paper"), "brings clients of its own"),
    ],
)
def test_a_slip_is_told_with_its_remedy(words: tuple[str, ...], said: str) -> None:
    done = run("bench", *words)
    assert done.status == 2, done.stderr
    assert said in done.stderr
