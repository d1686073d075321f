"""Data flows one way: a room imports only from rooms above it in the table of docs/design.md."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("bench", "inventory", "testapp", "remote", "loadgen", "reports", "session", "tasks")
# These travel to hosts: the standard library, what the host's environment has, and their own siblings.
SHIPPED = {
    "remote/guard.py": set(),
    "remote/answers.py": set(),
    "remote/probe.py": set(),
    "remote/condition.py": set(),
    "remote/link_probe.py": set(),
    "remote/leftovers.py": set(),
    "remote/environments.py": set(),
    "remote/agent.py": {"psutil"},
    "loadgen/histogram.py": set(),
    # Their siblings go by the package's name in the checkout and by their own on a host.
    "loadgen/engine.py": {"histogram", "loadgen"},
    "loadgen/worker.py": {"locust", "gevent"},
    "loadgen/recorder.py": {"histogram", "engine", "loadgen"},
    "loadgen/locustfile.py": {"histogram", "worker", "loadgen", "locust", "gevent"},
    "loadgen/clients/http_user.py": {"locust"},
    "loadgen/clients/fast_http_user.py": {"locust"},
    "loadgen/user_locustfile.py": {"engine", "recorder", "worker", "loadgen", "locust", "gevent"},
    "loadgen/ceiling_server.py": set(),
    "loadgen/fast_http_user.py": {"locust", "gevent"},
    "testapp/app.py": {"starlette", "asyncpg", "testapp"},
    "testapp/counts.py": {"testapp"},
    "testapp/data.py": {"testapp"},
    "testapp/database.py": {"asyncpg", "testapp"},
    "remote/route.py": set(),
    "testapp/postgres.py": {"testapp"},
    "testapp/process.py": {"testapp"},
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


def test_locust_is_imported_in_its_own_processes_only() -> None:
    """It monkey-patches whoever imports it."""
    guilty = {str(path.relative_to(ROOT)) for path in sources() if "locust" in imported(path)}
    names = ("locustfile", "user_locustfile", "worker", "master", "fast_http_user")
    clients = ("fast_http_user", "http_user")
    examples = {f"loadgen/{folder}/{name}.py" for folder in ("clients", "examples") for name in clients}
    assert guilty <= {f"loadgen/{name}.py" for name in names} | examples


def test_bench_starts_no_process_and_opens_no_connection() -> None:
    forbidden = {"subprocess", "socket", "fabric", "paramiko", "invoke", "threading", "multiprocessing"}
    for path in (ROOT / "bench").rglob("*.py"):
        assert not imported(path) & forbidden, path
