"""A server that runs otherwise than its settings ask is refused before any load, or its run is void."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.helpers.program import BRIEF_PROFILE, Finished, processes_naming, run, run_results
from tests.helpers.this_machine import ThisMachine, this_machine

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the backlog isn't seen"),
]

WRONG_LOOP = """
[servers.wrong-loop]
package = "uvicorn"
environment_group = "server-uvicorn"
settings = { loop = "uvloop", http_parser = "httptools" }
command = [
    "uvicorn", "{app}", "--host", "{host}", "--port", "{port}", "--workers", "{workers}",
    "--loop", "{loop}", "--http", "{http_parser}", "--ws", "none",
    "--backlog", "{backlog}", "--timeout-keep-alive", "{keep_alive_seconds}", "{access_log}",
    "--loop", "asyncio",
]
access_log_off = ["--no-access-log"]

[servers.plain-asyncio]
like = "uvicorn"
settings = { loop = "asyncio" }
"""
# Started once for its answers and once for its run: the second time it does something else.
CHANGING = '''
[servers.NAME]
package = "uvicorn"
environment_group = "server-uvicorn"
settings = { loop = "uvloop", http_parser = "httptools" }
command = ["python", "{config_file}", "{host}", "{port}", "{access_log}"]
config_file = """
import pathlib, sys, uvicorn
from testapp.app import app

mark = pathlib.Path("FOLDER/NAME")
second = mark.exists()
mark.touch()
log = open(1, "w", buffering=1 << 16, closefd=False)

async def logged(scope, receive, send):
    await app(scope, receive, send)
    if scope["type"] == "http":
        print("a line for the request of", scope["path"], file=log)

uvicorn.run(
    logged if LOGS else app,
    host=sys.argv[1], port=int(sys.argv[2]), loop="{loop}", http="{http_parser}", ws="none",
    backlog=BACKLOG if second else {backlog}, timeout_keep_alive={keep_alive_seconds},
    access_log=False, log_level="warning",
)
"""
'''


class Place(msgspec.Struct, frozen=True):
    """This machine, with entries of which each is wrong in its own way."""

    machine: ThisMachine

    @property
    def results(self) -> Path:
        return self.machine.results

    def bench(self, name: str, *servers: str, profile: str = "brief") -> Finished:
        words = ("--profile", profile, "--servers", ",".join(servers), "--endpoints", "shortbody")
        return run(*self.machine.bench(name, *words))


def filled(text: str, **words: str) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shared_work_folder: Path) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("configuration")
    pairs = BRIEF_PROFILE.replace("brief", "pairs") + "server_workers = [1, 2]\n"
    changing = filled(CHANGING, FOLDER=str(folder))
    backlog = changing.replace("NAME", "changes-backlog").replace("BACKLOG", "64").replace("LOGS", "False")
    logs = changing.replace("NAME", "logs-late").replace("BACKLOG", "2048").replace("LOGS", "True")
    catalogue = BRIEF_PROFILE + pairs + WRONG_LOOP + backlog + logs
    with this_machine(folder, catalogue, shared=shared_work_folder) as machine:
        yield Place(machine)


def refused(done: Finished, place: Place, name: str) -> str:
    """The line that a benchmark ended with before any of its runs."""
    assert done.status == 34, done.stderr
    assert not run_results(place.results / name)
    assert not processes_naming(place.machine.workdir)
    (line,) = [one for one in done.stderr.splitlines() if one.startswith("error: ")]
    return line


def test_a_wrong_setting_refuses_its_server_before_any_load(place: Place) -> None:
    line = refused(place.bench("wrong", "uvicorn", "wrong-loop"), place, "wrong")
    assert line.startswith("error: wrong-loop with 1 worker doesn't run as its settings ask: loop: ")
    assert "asked for uvloop, seen asyncio" in line
    assert "unhonoured_settings" in line


def test_what_is_wrong_with_several_workers_alone_is_found_before_any_load(place: Place) -> None:
    """uvicorn's workers on asyncio lose TCP_NODELAY, a single one has it."""
    line = refused(place.bench("pairs", "plain-asyncio", profile="pairs"), place, "pairs")
    assert line.startswith("error: plain-asyncio with 2 workers doesn't run as its settings ask: tcp_nodelay")


@pytest.fixture(scope="module")
def changed(place: Place) -> dict[str, dict[str, Any]]:
    done = place.bench("changed", "uvicorn", "changes-backlog", "logs-late")
    assert done.status == 60, done.stderr
    assert "settings proven" in done.stderr
    return {one["cell"]["server"]: one for one in run_results(place.results / "changed")}


def contradictions(one: dict[str, Any]) -> list[str]:
    return [reason["text"] for reason in one["reasons"] if reason["code"] == "SettingContradicted"]


def test_a_setting_that_changes_between_check_and_run_voids_the_run(
    changed: dict[str, dict[str, Any]],
) -> None:
    (text,) = contradictions(changed["changes-backlog"])
    assert "backlog: asked for 2048, seen 64" in text
    assert changed["changes-backlog"]["valid"] is False


def test_an_access_log_that_is_written_late_voids_the_run(changed: dict[str, dict[str, Any]]) -> None:
    """It is buffered: when its first requests are asked, the log is still empty."""
    (text,) = contradictions(changed["logs-late"])
    assert "access_log: asked for off, seen on" in text
    assert "lines per request over the run" in text


def test_a_run_keeps_the_proof_of_each_setting(changed: dict[str, dict[str, Any]], place: Place) -> None:
    run_of_uvicorn = changed["uvicorn"]
    assert not contradictions(run_of_uvicorn)
    assert {one["setting"]: one["verdict"] for one in run_of_uvicorn["proof"]} == dict.fromkeys(
        (
            *("loop", "http_parser", "workers", "keep_alive", "keep_alive_seconds", "access_log"),
            *("backlog", "tcp_nodelay", "headers", "protocol"),
        ),
        "proven",
    )
    page = (place.results / "changed" / "report.html").read_text()
    assert "Proven on the running servers" in page
    assert "contradicted: asked for 2048, seen 64" in page
