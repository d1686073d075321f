"""Whole benchmarks under a real CPU quota of a control group, as containers have one. Root on Linux."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.own_cgroup import cpu_quota, joining
from tests.helpers.program import BRIEF_PROFILE, command, run, run_results
from tests.helpers.this_machine import ThisMachine, this_machine

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(300)]

# uvicorn, started by a Python that goes into the group first: what it starts stays there.
LIMITED_SERVER = """
[servers.limited]
package = "uvicorn"
environment_group = "server-uvicorn"
command = [
    "python", "-c", {code},
    "{{app}}", "--host", "{{host}}", "--port", "{{port}}", "--workers", "{{workers}}",
    "--backlog", "{{backlog}}", "--log-level", "warning", "--no-access-log",
]
[servers.limited.unhonoured_settings]
loop = "it has its own"
http_parser = "it has its own"
keep_alive_seconds = "it has its own"
access_log = "it has none"
"""


@pytest.fixture
def machine(tmp_path: Path, shared_work_folder: Path) -> Iterator[ThisMachine]:
    with this_machine(tmp_path, BRIEF_PROFILE, shared=shared_work_folder) as found:
        yield found


def words(machine: ThisMachine, server: str) -> tuple[str, ...]:
    return machine.bench("one", "--profile", "brief", "--endpoints", "shortbody", "--servers", server)


def the_run(machine: ThisMachine) -> dict[str, Any]:
    (found,) = run_results(machine.results / "one")
    return found


def test_a_server_that_its_quota_throttles_is_named_so_and_ranks_nobody(machine: ThisMachine) -> None:
    with cpu_quota(0.2) as group:
        start = "import sys; os.execv(sys.executable, [sys.executable, '-m', 'uvicorn', *sys.argv[1:]])"
        catalogue = machine.catalogue
        code = json.dumps(f"{joining(group)}{start}")
        catalogue.write_text(catalogue.read_text() + LIMITED_SERVER.format(code=code))
        done = run(*words(machine, "limited"))
        found = the_run(machine)
    assert found["limit"]["name"] == "cpu_quota", (done.stderr, found["reasons"])
    (quota,) = found["quotas"]
    assert (quota["parties"], quota["cores"]) == (["server"], 0.2)
    assert quota["throttled_periods"] > 0.3 * quota["periods"]
    (reason,) = [one for one in found["reasons"] if one["code"] == "CpuQuota"]
    assert "the figure is that of the server within this quota" in reason["text"]
    assert (reason["unranks"], reason["invalidates"]) == (True, False)
    summary = json.loads((machine.results / "one" / "summary.json").read_text())
    (cell,) = summary["cells"]
    assert cell["limit"] == "cpu_quota"
    if cell["valid"]:  # others on this machine may void it
        assert cell["unranked_because"]["code"] == "CpuQuota"


def test_a_quota_on_everything_voids_the_run_and_is_said_before_it(machine: ThisMachine) -> None:
    """All of it in one container: what the load takes of the quota the server lacks."""
    with cpu_quota(0.6) as group:
        code = f"{joining(group)}os.execv(sys.argv[1], sys.argv[1:])"
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; {code}", *command(*words(machine, "uvicorn"))],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=240,
            env=dict(os.environ),
        )
        found = the_run(machine)
    assert done.returncode == 60, done.stderr
    assert (found["limit"]["name"], found["valid"]) == ("cpu_quota", False), found["reasons"]
    (reason,) = [one for one in found["reasons"] if one["code"] == "CpuQuota"]
    assert reason["invalidates"]
    assert "the server and the load generator have together a CPU quota of 0.6 cores" in reason["text"]
    assert "a CPU quota lets what runs there use 0.6 of its" in done.stderr
    assert "the server and the load generator have together a CPU quota" in done.stdout
