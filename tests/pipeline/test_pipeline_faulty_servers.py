"""Servers that answer wrongly, late or not at all, measured as a user would: what their runs say of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.faulty_app import HANGING_MOST
from tests.helpers.program import ROOT, run, run_results
from tests.helpers.this_machine import ThisMachine, this_machine

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

PROFILE = """
[profiles.{name}]
connections = 40
warmup_seconds = 1
window_seconds = 4
blocks = 1
idle_rest_seconds = 0.2
after_rest_seconds = 0.2
server_workers = [{workers}]
"""
SERVER = """
[servers.x-{name}]
like = "uvicorn"
command = [
    "uvicorn", "faulty_app:{name}", "--app-dir", "{folder}", "--host", "{{host}}", "--port", "{{port}}",
    "--workers", "{{workers}}", "--loop", "{{loop}}", "--http", "{{http_parser}}",
    "--ws", "none", "--interface", "asgi3", "--lifespan", "on", "--no-proxy-headers",
    "--backlog", "{{backlog}}", "--timeout-keep-alive", "{{keep_alive_seconds}}",
    "--timeout-graceful-shutdown", "10", "{{flags}}", "--log-level", "warning", "{{access_log}}",
]
"""
ALONE = ("wrong", "hanging", "stalling", "closing", "stopping")
OF_USERS = ("others5", "others9")
OF_TWO = "half"


class Bench:
    def __init__(self, machine: ThisMachine) -> None:
        self._machine = machine

    def measure(self, name: str, servers: tuple[str, ...], endpoint: str) -> dict[str, dict[str, Any]]:
        """Each server's run, by the server's fault; ``name`` is the profile's too."""
        folder = f"{name}-{endpoint}"
        words = ("--servers", ",".join(f"x-{one}" for one in servers), "--endpoints", endpoint)
        done = run(*self._machine.bench(folder, "--profile", name, *words))
        assert done.status in (0, 60), done.stderr
        runs = run_results(self._machine.results / folder)
        found = {one["cell"]["server"].removeprefix("x-"): one for one in runs}
        assert set(found) == set(servers), done.stderr
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, shared_work_folder: Path) -> Iterator[Bench]:
    profiles = PROFILE.format(name="one", workers=1) + PROFILE.format(name="two", workers=2)
    names = (*ALONE, *OF_USERS, OF_TWO)
    servers = "".join(SERVER.format(name=name, folder=ROOT / "tests" / "helpers") for name in names)
    with this_machine(
        tmp_path_factory.mktemp("faulty"), profiles + servers, shared=shared_work_folder
    ) as machine:
        yield Bench(machine)


@pytest.fixture(scope="module")
def alone(bench: Bench) -> dict[str, dict[str, Any]]:
    return bench.measure("one", ALONE, "shortbody")


@pytest.fixture(scope="module")
def of_users(bench: Bench) -> dict[str, dict[str, Any]]:
    return bench.measure("one", OF_USERS, "orders")


def reasons(one: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {reason["code"]: reason for reason in one["reasons"]}


def test_wrong_bodies_of_the_right_length_void_a_run(alone: dict[str, dict[str, Any]]) -> None:
    """22 question marks in place of the body, from the third second on."""
    one = alone["wrong"]
    found = reasons(one)["WrongAnswers"]
    assert (one["valid"], found["invalidates"]) == (False, True)
    answers = one["answers"]
    assert answers["bodies_checked"] == answers["right_size"] == one["requests"] + one["failures"]["bad_body"]
    assert answers["bodies_wrong"] == one["failures"]["bad_body"] > 100
    assert "StoppedAnswering" not in reasons(one), "wrong answers are answers"
    assert f"{answers['bodies_wrong']:,} of {answers['right_size']:,} answers" in found["text"]


@pytest.mark.parametrize("percent", [5, 9])
def test_a_share_of_other_users_answers_voids_a_run_and_is_told(
    of_users: dict[str, dict[str, Any]], percent: int
) -> None:
    one = of_users[f"others{percent}"]
    answers = one["answers"]
    assert answers["bodies_checked"] == answers["right_size"], "every answer was compared"
    assert 0.6 * percent < 100 * answers["bodies_wrong"] / answers["right_size"] <= 1.2 * percent
    assert not one["valid"] and "WrongAnswers" in reasons(one)


def test_requests_that_are_never_answered_stand_in_the_latency(alone: dict[str, dict[str, Any]]) -> None:
    """Three of some ten thousand wait from the second second on; the slowest answer took milliseconds."""
    one = alone["hanging"]
    latency = one["latency_seconds"]
    assert latency["max"] >= 2.0
    assert "max" in latency["at_least"] and "p99" not in latency["at_least"]
    standing = one["answers"]["standing"]
    assert (standing["requests"], standing["oldest_seconds"]) == (HANGING_MOST, pytest.approx(3.0, abs=1.1))
    assert f"{HANGING_MOST} of 40 connections" in reasons(one)["ConnectionsStandStill"]["text"]
    assert not reasons(one)["ConnectionsStandStill"]["invalidates"]


def test_a_server_that_stalls_again_and_again_is_named_with_its_stalls(
    alone: dict[str, dict[str, Any]],
) -> None:
    one = alone["stalling"]
    silence = one["answers"]["silence"]
    assert silence["seconds"] == pytest.approx(0.5, abs=0.15)
    assert silence["stalls"] in (2, 3)
    assert "no answer came for 0." in reasons(one)["ServerStalls"]["text"]
    assert not reasons(one)["ServerStalls"]["invalidates"]
    assert "StoppedAnswering" not in reasons(one)


def test_a_server_that_makes_the_client_reconnect_is_named_with_its_share(
    alone: dict[str, dict[str, Any]],
) -> None:
    one = alone["closing"]
    assert one["answers"]["reconnects"] > 0.9 * one["requests"]
    assert "after 1" in reasons(one)["ClientReconnects"]["text"]


def test_a_server_that_is_stopped_in_mid_window_voids_the_run(alone: dict[str, dict[str, Any]]) -> None:
    """SIGSTOP: the second try fares the same, and the first one is told."""
    one = alone["stopping"]
    found = reasons(one)["StoppedAnswering"]
    assert (one["valid"], found["invalidates"]) == (False, True)
    assert "the server (or the link to it) stopped answering from second 2 on" in found["text"]
    assert [second["requests"] for second in one["seconds"]][3:] == [0, 0]
    assert one["answers"]["seconds_without"] == [3, 4]
    assert not one["answers"]["silence"]["has_ended"]
    assert one["latency_seconds"]["max"] >= 2.0 and "max" in one["latency_seconds"]["at_least"]
    assert one["attempt"] == 2
    assert "StoppedAnswering" in {reason["code"] for reason in one["earlier_attempts"][0]["reasons"]}


def test_one_of_two_workers_that_is_stopped_voids_the_run(bench: Bench) -> None:
    """The others' connections go on as fast as ever: no second is without an answer."""
    one = bench.measure("two", (OF_TWO,), "shortbody")[OF_TWO]
    assert one["answers"]["seconds_without"] == []
    standing = one["answers"]["standing"]
    assert standing["requests"] >= 4 and standing["oldest_seconds"] > 1.0
    found = reasons(one)["ConnectionsStandStill"]
    assert (one["valid"], found["invalidates"]) == (False, True)
    assert "of 40 connections waited for an answer" in found["text"]
