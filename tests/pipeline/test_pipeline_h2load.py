"""HTTP/2 and HTTP/1.1 of one server by h2load, and h2load beside our engine, through the whole pipeline."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.helpers.ports import free_port
from tests.helpers.program import (
    BRIEF_PROFILE,
    LOCAL_INVENTORY,
    Finished,
    ended_well,
    processes_naming,
    run,
    run_results,
    work_folder,
)

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        shutil.which("h2load") is None, reason="h2load (Debian's nghttp2-client) is not installed"
    ),
]


class Measured(msgspec.Struct, frozen=True):
    done: Finished
    results: Path
    workdir: Path

    def run(self, client: str, protocol: str) -> dict[str, Any]:
        """The only one."""
        (one,) = [
            one
            for one in run_results(self.results)
            if (one["cell"].get("client", "engine"), one["cell"].get("protocol", "http/1.1"))
            == (client, protocol)
        ]
        return one


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    folder = tmp_path_factory.mktemp("h2load")
    with work_folder() as outside:
        (folder / "here.yml").write_text(LOCAL_INVENTORY.format(workdir=outside / "w"))
        (folder / "own.toml").write_text(BRIEF_PROFILE)
        done = run(
            "bench", "--hosts", str(folder / "here.yml"), "--catalogue", str(folder / "own.toml"),
            "--profile", "brief", "--servers", "hypercorn", "--endpoints", "shortbody",
            "--protocols", "http/1.1,h2", "--results", str(folder / "results"),
            "--port", str(free_port()), "--name", "both",
        )  # fmt: skip
        yield Measured(done, folder / "results" / "both", outside / "w")


def test_each_protocol_is_measured_by_what_speaks_it(measured: Measured) -> None:
    assert ended_well(measured.done, measured.results), measured.done.stderr
    assert len(run_results(measured.results)) == 3
    for client, protocol in (("engine", "http/1.1"), ("h2load", "http/1.1"), ("h2load", "h2")):
        one = measured.run(client, protocol)
        assert one["requests_per_second"] > 20
        assert one["failures"] == {}


def test_h2loads_requests_are_the_apps_and_locusts_too(measured: Measured) -> None:
    for protocol in ("http/1.1", "h2"):
        counts = measured.run("h2load", protocol)["counts"]
        assert counts["engine"] == counts["locust"] == counts["spool"] > 0
        # What was under way when it stopped was answered, and is in no line of its log.
        assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"] == 10


def test_its_seconds_latencies_cpu_and_bytes_are_there(measured: Measured) -> None:
    for protocol in ("http/1.1", "h2"):
        one = measured.run("h2load", protocol)
        window = [second for second in one["seconds"] if second["in_window"]]
        assert len(window) == 2
        assert sum(second["requests"] for second in window) == one["requests"]
        # Ten connections wait all the time: requests/s x mean latency is ten, and the median is near it.
        assert one["requests_per_second"] * one["latency_seconds"]["p50"] == pytest.approx(10, rel=0.6)
        assert all(0 < worker["engine_core_share"] < 1.1 for worker in one["load_workers"])
        assert sum(worker["connects"] for worker in one["load_workers"]) == 0  # before the window
        assert one["bytes_per_second"] > 22 * one["requests_per_second"]
        assert one["answers"]["bodies_checked"] == 0


def test_http_2_is_leaner_on_the_wire(measured: Measured) -> None:
    """The app's own scope is held in tests/host; here are the compressed heads, which no HTTP/1.1 has."""
    per_answer = {
        protocol: one["bytes_per_second"] / one["requests_per_second"]
        for protocol, one in ((each, measured.run("h2load", each)) for each in ("http/1.1", "h2"))
    }
    assert per_answer["h2"] < 0.7 * per_answer["http/1.1"]


def test_the_report_holds_them_beside_each_other_and_says_what_h2load_does_not_do(
    measured: Measured,
) -> None:
    page = (measured.results / "report.html").read_text()
    for text in ("Do two load generators agree?", "HTTP/2 beside HTTP/1.1", "h2load compares no body"):
        assert text in page
    assert "h2load nghttp2/" in page
    assert processes_naming(measured.workdir) == []
