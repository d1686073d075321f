"""The program as its users run it: `./invoke` in a process of its own, on the test's hosts and folders."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from bench.judge.judge import MACHINE_REASONS

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT_SECONDS = 600

BRIEF_PROFILE = """
[profiles.brief]
connections = 10
warmup_seconds = 1
window_seconds = 2
blocks = 1
idle_rest_seconds = 0.2
after_rest_seconds = 0.2
"""

LOCAL_INVENTORY = """
all:
  children:
    server:
      hosts:
        here:
          ansible_connection: local
          asgibench_address: 127.0.0.1
          asgibench_workdir: {workdir}
    loadgen:
      hosts:
        here:
"""


# Between us and the program, so that its memory is told apart from that of all other children of the tests.
ACCOUNTANT = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
open(sys.argv[1], "w").write(str(largest * (1 if sys.platform == "darwin" else 1024)))
sys.exit(status)
"""


class Finished(msgspec.Struct, frozen=True):
    """How a command ended. ``largest_rss_bytes`` is of the largest of its processes that were waited for."""

    status: int
    stdout: str
    stderr: str
    largest_rss_bytes: int = 0

    @property
    def last_line(self) -> str:
        return self.stdout.rstrip().rpartition("\n")[2]


def command(*words: str) -> list[str]:
    return [str(ROOT / "invoke"), *words]


def run(*words: str, env: Mapping[str, str] = {}, cwd: Path = ROOT) -> Finished:
    """Run to the end; no terminal, no input."""
    with tempfile.NamedTemporaryFile("r") as account:
        done = subprocess.run(
            [sys.executable, "-c", ACCOUNTANT, account.name, *command(*words)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **env},
            cwd=cwd,
            timeout=TIME_LIMIT_SECONDS,
        )
        return Finished(done.returncode, done.stdout, done.stderr, int(account.read()))


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's unprivileged user can pass through; pytest's own are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="asgibench-test-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def processes_naming(folder: Path) -> list[str]:
    """Command lines of all live processes that run from ``folder`` or name it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        words = process.info["cmdline"] or []
        place = process.info["cwd"] or ""
        if process.info["status"] != psutil.STATUS_ZOMBIE and (
            str(folder) in " ".join(words) or place.startswith(str(folder))
        ):
            found.append(" ".join(words))
    return found


def run_results(directory: Path) -> list[dict[str, Any]]:
    """Every run.json in the order of the plan."""
    paths: Sequence[Path] = sorted(directory.glob("runs/*/run.json"))
    return [msgspec.json.decode(path.read_bytes()) for path in paths]


def ended_well(done: Finished, directory: Path) -> bool:
    """Measured; if some run is void, only because of what else this machine does: we can't forbid it."""
    if done.status == 0:
        return True
    void = [
        reason["code"] for one in run_results(directory) for reason in one["reasons"] if reason["invalidates"]
    ]
    return done.status == 60 and bool(void) and set(void) <= MACHINE_REASONS
