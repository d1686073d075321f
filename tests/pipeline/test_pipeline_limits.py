"""What holds a run back, provoked for real: apps that wait, a shared core, others on the load's core."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.judge.judge import MACHINE_REASONS
from tests.helpers.program import LOCAL_INVENTORY, Finished, run, run_results
from tests.helpers.this_machine import ThisMachine, busy_core, this_machine

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

PROFILE = """
[profiles.limits]
connections = 60
warmup_seconds = 1
window_seconds = 3
blocks = 1
idle_rest_seconds = 0.2
after_rest_seconds = 0.2
"""
UNSETTABLE = """
loop = "its own"
http_parser = "its own"
backlog = "its own"
keep_alive_seconds = "its own"
access_log = "its own"
"""
# Each waits before it answers, and uvicorn sets TCP_NODELAY: the app's doing, whatever it looks like.
SLEEPER = '''
[servers.sleeps-{milliseconds}-ms]
title = "uvicorn {{version}}, whose app sleeps"
package = "uvicorn"
environment_group = "server-uvicorn"
command = ["python", "{{config_file}}", "{{host}}", "{{port}}"]
config_file = """
import asyncio, sys, uvicorn
from testapp.app import app

async def sleeping(scope, receive, send):
    if scope["type"] == "http":
        await asyncio.sleep({milliseconds} / 1000)
    await app(scope, receive, send)

uvicorn.run(sleeping, host=sys.argv[1], port=int(sys.argv[2]), log_level="warning", timeout_keep_alive=60)
"""
[servers.sleeps-{milliseconds}-ms.unhonoured_settings]
{unsettable}
'''


class Place(msgspec.Struct, frozen=True):
    """This machine: the server on core 0, with its database, the load on core 1."""

    machine: ThisMachine

    @property
    def results(self) -> Path:
        return self.machine.results

    def bench(self, name: str, servers: str, endpoint: str) -> dict[str, Any]:
        """The runs by server."""
        words = ("--profile", "limits", "--servers", servers, "--endpoints", endpoint)
        done = run(*self.machine.bench(name, *words))
        assert done.status in (0, 60), done.stderr
        return {one["cell"]["server"]: one for one in run_results(self.results / name)}

    def report(self, name: str) -> Finished:
        return run("report", str(self.results / name))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shared_work_folder: Path) -> Iterator[Place]:
    if sys.platform != "linux" or (os.cpu_count() or 1) < 2:
        pytest.skip("processes must be pinned to one of two cores: Linux")
    cores = '          asgibench_workdir: {workdir}\n          asgibench_cores: "0-1"\n'
    inventory = LOCAL_INVENTORY.replace("          asgibench_workdir: {workdir}\n", cores)
    sleepers = [SLEEPER.format(milliseconds=wait, unsettable=UNSETTABLE) for wait in (20, 40)]
    folder, catalogue = tmp_path_factory.mktemp("limits"), "".join([PROFILE, *sleepers])
    with this_machine(folder, catalogue, inventory, shared=shared_work_folder) as machine:
        yield Place(machine)


def codes(one: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in one["reasons"]}


def is_to_be_judged(one: dict[str, Any]) -> bool:
    """The run is valid. If it isn't, then only for what else this machine did: we can't forbid it."""
    void = {reason["code"] for reason in one["reasons"] if reason["invalidates"]}
    assert void <= MACHINE_REASONS, one["reasons"]
    return not void


@pytest.fixture(scope="module")
def waiting(place: Place) -> dict[str, Any]:
    return place.bench("waiting", "sleeps-40-ms,sleeps-20-ms,hypercorn-paper", "shortbody")


def test_an_app_that_sleeps_40_ms_is_a_fixed_wait_and_not_nagle(waiting: dict[str, Any]) -> None:
    found = waiting["sleeps-40-ms"]
    assert found["server_configuration"]["tcp_nodelay"] is True
    assert found["latency_seconds"]["p50"] >= 0.038
    assert "DelayedAckSuspected" not in codes(found)
    if is_to_be_judged(found):
        assert "FixedWait" in codes(found)
        assert found["limit"]["name"] == "latency"


def test_hypercorn_0_16_waits_for_delayed_acknowledgements(
    waiting: dict[str, Any],
) -> None:
    """At 60 connections: at 100 a slow machine's server is saturated, and makes its own latency."""
    found = waiting["hypercorn-paper"]
    assert found["server_configuration"]["tcp_nodelay"] is False
    assert "FixedWait" not in codes(found)
    if is_to_be_judged(found):
        assert "DelayedAckSuspected" in codes(found), (found["limit"], found["latency_seconds"])
        assert "the server leaves TCP_NODELAY off" in str(found["reasons"])
        assert found["limit"]["name"] == "latency"


def test_an_app_that_waits_is_not_saturated_and_is_not_ranked(waiting: dict[str, Any], place: Place) -> None:
    """It serves 60 connections in 20 ms each, and would serve 120 in as many."""
    found = waiting["sleeps-20-ms"]
    assert found["limit"]["name"] in ("latency", "none_found")
    if not is_to_be_judged(found):
        return
    assert "NotSaturated" in codes(found)
    summary = msgspec.json.decode((place.results / "waiting" / "summary.json").read_bytes())
    (cell,) = [one for one in summary["cells"] if one["server"] == "sleeps-20-ms"]
    assert cell["valid"]
    assert cell["unranked_because"]["code"] == "NotSaturated"
    assert "nobody was at a limit" in cell["unranked_because"]["text"]


def test_a_server_and_a_database_on_one_core_are_named_together(place: Place) -> None:
    found = place.bench("shared", "uvicorn", "orders")["uvicorn"]
    assert found["database_cpu"]["core_share"] > 0.1
    assert found["limit"]["name"] != "server_cpu"
    if not is_to_be_judged(found):
        return
    assert found["limit"]["name"] == "server_and_database_cpu"
    assert "DatabaseSharesCores" in codes(found)
    text = " ".join(reason["text"] for reason in found["reasons"])
    assert "of what a request costs there is server and app" in text
    assert (
        "server and database CPU"
        in place.report("shared").stdout + (place.results / "shared" / "report.html").read_text()
    )


def test_others_on_the_loads_core_void_a_run_in_which_nobody_is_at_a_limit(place: Place) -> None:
    """A program that takes what it gets of core 1, at the usual priority."""
    with busy_core(1):
        found = place.bench("disturbed", "sleeps-20-ms", "shortbody")["sleeps-20-ms"]
    assert not found["valid"]
    assert found["attempt"] == 2, "what the machine did is measured again"
    assert "OthersOnLoadCores" in codes(found)
    assert not is_to_be_judged(found)
