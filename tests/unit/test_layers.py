"""Data flows one way: a room imports only from rooms above it in the table of docs/design.md."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from remote.provision.ship import travelling_files

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("bench", "inventory", "testapp", "remote", "loadgen", "reports", "session", "tasks")
# What travels to hosts imports the standard library, of ours only what travels too, and from the environment
# that it runs in these; the longest path counts.
LIBRARIES: dict[str, set[str]] = {
    "bench/wire/": set(),
    "remote/onhost/": set(),
    "remote/onhost/agent": {"psutil"},
    "remote/onhost/proving/": {"h11", "h2", "wsproto", "aioquic"},
    "remote/onhost/slow_clients/": {"psutil"},
    "remote/onhost/conformance/h2/": {"hpack"},
    "remote/onhost/conformance/websocket/": {"kosoku"},
    "remote/onhost/features/": {"h11", "h2", "wsproto", "aioquic"},
    "loadgen/onhost/": set(),
    "loadgen/onhost/h2load/usage.py": {"psutil"},
    "loadgen/onhost/worker/": {"locust", "gevent"},
    "loadgen/onhost/clients/": {"locust"},
    "loadgen/onhost/calibration/": {"locust", "gevent"},
    "testapp/": set(),
    "testapp/app.py": {"starlette"},
    "testapp/database.py": {"asyncpg"},
    "testapp/pool.py": {"asyncpg"},
    "testapp/workload.py": {"starlette"},
    "testapp/workloads/": {"starlette"},
}
# Single scripts, which import nothing of ours.
SCRIPTS = "remote/onhost/bootstrap/"
TRAVELLING = ("bench.wire", "remote.onhost", "loadgen.onhost", "testapp")
# The same of whole folders: modules by the beginning of their names.
TRAVELLING_FOLDERS = {
    "bench/wire": ("bench.wire.",),
    "remote/onhost/agent": (
        "bench.wire.",
        "remote.onhost.agent.",
        "remote.onhost.processes",
        "remote.onhost.quota",
        "psutil",
    ),
    "loadgen/onhost/engine": ("bench.wire.", "loadgen.onhost.engine."),
    "loadgen/onhost/h2load": ("bench.wire.", "loadgen.onhost.engine.", "loadgen.onhost.h2load.", "psutil"),
    "loadgen/onhost/worker": ("bench.wire", "loadgen.onhost.", "locust", "gevent"),
    "loadgen/onhost/clients": ("bench.wire", "loadgen.onhost.", "locust", "gevent"),
    "loadgen/onhost/calibration": ("bench.wire", "loadgen.onhost.", "locust", "gevent"),
    "testapp/workloads": ("testapp.", "starlette"),
    "testapp/postgres": ("bench.wire.", "testapp.postgres."),
    "testapp/proving": ("bench.wire.", "testapp.proving."),
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


def imported_modules(path: Path) -> set[str]:
    """Full names of the modules."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_rooms_above_it(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    below = set(ROOMS[ROOMS.index(room) + 1 :])
    assert not imported(path) & below


def travels(module: str) -> bool:
    return any(module == one or module.startswith(f"{one}.") for one in TRAVELLING)


@pytest.mark.parametrize("name", sorted(name for name in travelling_files() if name.endswith(".py")))
def test_what_travels_to_hosts_imports_only_what_is_there(name: str) -> None:
    place = max((place for place in LIBRARIES if name.startswith(place)), key=len, default="")
    allowed = {*sys.stdlib_module_names, *LIBRARIES.get(place, ())}
    foreign = {module for module in imported_modules(ROOT / name) if module.partition(".")[0] not in allowed}
    ours = set() if name.startswith(SCRIPTS) else {module for module in foreign if travels(module)}
    assert foreign == ours


@pytest.mark.parametrize("folder", sorted(TRAVELLING_FOLDERS))
def test_a_folder_that_travels_imports_what_its_host_has(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        own = {
            name for name in imported_modules(path) if name.partition(".")[0] not in sys.stdlib_module_names
        }
        assert all(name.startswith(TRAVELLING_FOLDERS[folder]) for name in own), (path, own)


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
