"""Data flows one way: a room imports only from rooms above it in the table of docs/design.md."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("bench", "inventory", "testapp", "remote", "loadgen", "reports", "session", "tasks")
# These travel to hosts: the standard library, what the host's environment has, and their own siblings.
SHIPPED = {
    "remote/onhost/guard.py": set(),
    "remote/onhost/processes.py": set(),
    "remote/onhost/answers.py": set(),
    "remote/onhost/bootstrap/probe.py": set(),
    "remote/onhost/condition.py": set(),
    "remote/onhost/link_probe.py": set(),
    "remote/onhost/bootstrap/leftovers.py": set(),
    "remote/onhost/environments.py": set(),
    "remote/onhost/agent.py": {"psutil"},
    "bench/wire/histogram.py": set(),
    # Their siblings go by the package's name in the checkout and by their own on a host.
    "loadgen/onhost/engine.py": {"bench", "loadgen"},
    "loadgen/onhost/worker/worker.py": {"locust", "gevent", "bench", "loadgen"},
    "loadgen/onhost/worker/recorder.py": {"bench", "loadgen"},
    "loadgen/onhost/worker/locustfile.py": {"bench", "loadgen", "locust", "gevent"},
    "loadgen/onhost/clients/http_user.py": {"locust"},
    "loadgen/onhost/clients/fast_http_user.py": {"locust"},
    "loadgen/onhost/worker/user_locustfile.py": {"loadgen", "locust", "gevent"},
    "loadgen/onhost/calibration/ceiling_server.py": set(),
    "loadgen/onhost/calibration/fast_http_user.py": {"bench", "locust", "gevent"},
    "testapp/app.py": {"starlette", "testapp"},
    "testapp/pool.py": {"asyncpg"},
    "testapp/workload.py": {"starlette", "testapp"},
    "testapp/counts.py": {"testapp"},
    "testapp/data.py": {"testapp"},
    "testapp/database.py": {"asyncpg", "bench", "testapp"},
    "remote/onhost/route.py": set(),
    "testapp/process.py": {"testapp"},
}
SHIPPED |= {
    path.relative_to(ROOT).as_posix(): {"starlette", "testapp"}
    for path in (ROOT / "testapp" / "workloads").glob("*.py")
}
SHIPPED |= {
    path.relative_to(ROOT).as_posix(): {"bench", "testapp"}
    for path in (ROOT / "testapp" / "postgres").glob("*.py")
}


def sources() -> Iterator[Path]:
    for room in ROOMS:
        place = ROOT / room
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [ROOT / f"{room}.py"]


def imported(path: Path) -> set[str]:
    """Top-level names of all imports, those inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides its room"
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_rooms_above_it(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    below = set(ROOMS[ROOMS.index(room) + 1 :])
    assert not imported(path) & below


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_shipped_file_stands_alone(name: str) -> None:
    foreign = imported(ROOT / name) - set(sys.stdlib_module_names)
    assert foreign <= SHIPPED[name]


def test_a_workload_is_imported_without_any_package() -> None:
    """By the controller, which has no Starlette."""
    program = "import sys; sys.path.insert(0, sys.argv[1]); import testapp.workloads, testapp.counts"
    subprocess.run([sys.executable, "-I", "-S", "-c", program, str(ROOT)], check=True, timeout=60)


def test_locust_is_imported_in_its_own_processes_only() -> None:
    """It monkey-patches whoever imports it."""
    guilty = {str(path.relative_to(ROOT)) for path in sources() if "locust" in imported(path)}
    allowed = (
        "loadgen/onhost/worker/",
        "loadgen/onhost/clients/",
        "loadgen/onhost/calibration/",
        "loadgen/examples/",
    )
    assert all(one == "loadgen/master.py" or one.startswith(allowed) for one in guilty), guilty


def test_bench_starts_no_process_and_opens_no_connection() -> None:
    forbidden = {"subprocess", "socket", "fabric", "paramiko", "invoke", "threading", "multiprocessing"}
    for path in (ROOT / "bench").rglob("*.py"):
        assert not imported(path) & forbidden, path
