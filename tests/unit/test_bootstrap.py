"""The two ways onto a host: programs on standard input, and files by content. There is no third."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from remote import bootstrap
from remote.provision.ship import travelling_files

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("remote", "loadgen", "session")
# These read our own sources.
WAYS = {"remote/bootstrap.py", "remote/provision/ship.py"}


def test_our_sources_are_read_in_two_modules() -> None:
    reading = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if "__file__" in path.read_text()
    }
    assert reading == WAYS


def imports_of_ours(path: str) -> set[str]:
    """The files that a file imports, and the packages that they are in."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            place = name.replace(".", "/")
            found |= {file for file in (f"{place}.py", f"{place}/__init__.py") if (ROOT / file).exists()}
    return found


def closure(path: str) -> set[str]:
    needed: set[str] = set()
    waiting = [path]
    while waiting:
        one = waiting.pop()
        if one not in needed:
            needed.add(one)
            packages = {f"{parent}/__init__.py" for parent in Path(one).parents if str(parent) != "."}
            waiting += [*imports_of_ours(one), *packages]
    return needed


@pytest.mark.parametrize("program", sorted(bootstrap.PROGRAMS))
def test_a_program_is_sent_with_what_it_imports_and_nothing_else(program: str) -> None:
    assert set(bootstrap.sources(program)) == closure(f"{program.replace('.', '/')}.py")


@pytest.mark.parametrize("program", sorted(bootstrap.PROGRAMS))
def test_what_is_sent_runs_on_the_standard_library_and_our_own_modules(program: str) -> None:
    for text in bootstrap.sources(program).values():
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, "bench", "remote"}


def test_the_same_sources_are_the_same_bytes() -> None:
    sent = bootstrap.modules(bootstrap.GUARD)
    bootstrap.modules.cache_clear()
    assert bootstrap.modules(bootstrap.GUARD) == sent


def test_the_command_survives_every_login_shell() -> None:
    assert not set(bootstrap.FIRST) & set("'\\!\n")


def test_a_program_runs_from_standard_input_alone(tmp_path: Path) -> None:
    """Nothing is written, nothing is read from the folder, and a traceback names our files."""
    done = subprocess.run(
        bootstrap.command(sys.executable, bootstrap.ENVIRONMENTS),
        input=bootstrap.modules(bootstrap.ENVIRONMENTS) + b"no request\n",
        capture_output=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 1
    assert b"WireError" in done.stderr
    assert b'File "remote/onhost/environments.py", line' in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_shipped_is_the_tree_of_what_runs_on_hosts() -> None:
    files = travelling_files()
    assert {"bench/wire/codec.py", "remote/onhost/link_probe.py", "testapp/app.py"} <= set(files)
    assert all((ROOT / name).read_bytes() == content for name, content in files.items())
