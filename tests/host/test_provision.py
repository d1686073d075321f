"""Provisioning for real: this machine, through a local connection, into a work folder of the test's own."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.environment.hosts import Host, HostFacts
from bench.errors import DiskFull, ProvisionError
from bench.wire.codec import encode_line
from bench.wire.environments import BuildEnvironment, HostFile, ReceiveFiles, WantedEnvironment
from remote import bootstrap
from remote.local import LocalConnection
from remote.onhost import environments
from remote.provision.lockfile import export_group, wheels_for
from remote.provision.provision import Provisioned, VirtualEnvironment, provision
from remote.provision.ship import ship
from remote.runner import Completed, HostCommand
from tests.helpers.facts import facts_of_this_machine

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ("host-tools", "server-hypercorn")


class WatchedConnection(LocalConnection):
    """A local connection that counts its round trips."""

    def __init__(self) -> None:
        super().__init__(Host("here", ("server",), connection="local"))
        self.round_trips = 0

    def execute(self, command: HostCommand) -> Completed:
        self.round_trips += 1
        return super().execute(command)


def silent(line: str) -> None:
    pass


def provision_here(
    facts: HostFacts, groups: Sequence[str] = GROUPS, files: Mapping[str, bytes] | None = None
) -> Provisioned:
    return provision(WatchedConnection(), facts, groups, root=ROOT, report=silent, files=files)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> HostFacts:
    """A host whose work folder has a blank in its name."""
    return facts_of_this_machine(tmp_path_factory.mktemp("host") / "work folder")


@pytest.fixture(scope="module")
def first(facts: HostFacts) -> Provisioned:
    return provision_here(facts)


def versions_in(environment: VirtualEnvironment) -> dict[str, str]:
    """What importlib.metadata finds, asked from outside the code under test."""
    code = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    listing = subprocess.run(
        [environment.python, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    pairs = (line.split() for line in listing.splitlines())
    return {name.lower().replace("_", "-").replace(".", "-"): version for name, version in pairs}


def test_environments_hold_the_locked_versions(first: Provisioned, facts: HostFacts) -> None:
    """Each group has an environment of its own with every locked version and nothing else."""
    assert first.changed
    assert first.pushed_bytes > 0
    assert tuple(first.environments) == GROUPS
    for group, environment in first.environments.items():
        locked = {wheel.name: wheel.version for wheel in wheels_for(export_group(group, ROOT), facts)}
        assert environment.versions == locked
        assert versions_in(environment) == locked


def test_programs_of_an_environment_run(first: Provisioned) -> None:
    """A server's program starts from its path, though the work folder's name has a blank."""
    program = first.environments["server-hypercorn"].program("hypercorn")
    done = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "usage: hypercorn" in done.stdout


def test_uv_stands_on_the_host(first: Provisioned) -> None:
    """uv is the binary of the locked version."""
    done = subprocess.run([first.uv, "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split()[1] == first.uv_version


def test_bytecode_is_compiled_beforehand(first: Provisioned) -> None:
    """No measured server spends its start on compiling."""
    (module,) = Path(first.environments["server-hypercorn"].directory).glob(
        "lib/*/site-packages/hypercorn/run.py"
    )
    assert list((module.parent / "__pycache__").glob("run.*.pyc"))


def test_environments_share_no_file(first: Provisioned) -> None:
    """A library in two environments is two files, so that no process shares its pages with a measured one."""
    found = [
        library.stat().st_ino
        for environment in first.environments.values()
        for library in Path(environment.directory).glob("lib/*/site-packages/asyncpg/protocol/protocol*.so")
    ]
    assert len(found) == len(set(found)) == 2


def test_the_second_time_nothing_changes(first: Provisioned, facts: HostFacts) -> None:
    """One question, one answer, under two seconds, and not a file touched."""
    before = times_below(Path(facts.workdir))
    connection = WatchedConnection()
    again = provision(connection, facts, GROUPS, root=ROOT, report=silent)
    assert (again.changed, again.pushed_bytes, connection.round_trips) == (False, 0, 1)
    assert again.seconds < 2
    assert again.environments == first.environments
    assert times_below(Path(facts.workdir)) == before


def times_below(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("damage", ["no manifest", "garbled manifest", "package gone", "package added"])
def test_a_broken_environment_is_rebuilt(damage: str, first: Provisioned, facts: HostFacts) -> None:
    """What was interrupted or tampered with is built anew from the wheels on the host; the rest is left."""
    environment = first.environments["server-hypercorn"]
    other = Path(first.environments["host-tools"].directory) / ".complete"
    untouched = other.stat().st_mtime_ns
    break_environment(Path(environment.directory), damage)
    again = provision_here(facts)
    assert (again.changed, again.pushed_bytes) == (True, 0)
    assert versions_in(environment) == environment.versions
    assert other.stat().st_mtime_ns == untouched
    assert not provision_here(facts).changed


def break_environment(directory: Path, damage: str) -> None:
    (packages,) = directory.glob("lib/python*/site-packages")
    if damage == "no manifest":
        (directory / ".complete").unlink()
        shutil.rmtree(packages / "h2")
    elif damage == "garbled manifest":
        (directory / ".complete").write_text('{"versions": ')
    elif damage == "package gone":
        shutil.rmtree(packages / "h2")
    else:
        (packages / "other-1.0.dist-info").mkdir()


def test_a_damaged_wheel_on_the_host_is_sent_again(first: Provisioned, facts: HostFacts) -> None:
    """Only the wheel that is not the lock's any more goes over the connection."""
    (wheel,) = Path(facts.workdir).glob("wheels/h11-*.whl")
    size_bytes = wheel.stat().st_size
    wheel.write_bytes(b"x" * size_bytes)
    (Path(first.environments["server-hypercorn"].directory) / ".complete").unlink()
    assert provision_here(facts).pushed_bytes == size_bytes


def test_a_lost_uv_comes_back_alone(first: Provisioned, facts: HostFacts) -> None:
    """Without uv, uv is unpacked again from its wheel, and no environment is touched."""
    Path(first.uv).unlink()
    again = provision_here(facts)
    assert (again.changed, again.pushed_bytes) == (True, 0)
    assert os.access(first.uv, os.X_OK)


def test_settings_of_the_host_change_nothing(
    first: Provisioned, facts: HostFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that bend uv or Python on the host reach neither."""
    for name, value in {
        "UV_NO_BINARY": "1",
        "UV_LINK_MODE": "symlink",
        "UV_PYTHON": "3.99",
        "PYTHONPATH": str(ROOT),
        "VIRTUAL_ENV": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    environment = first.environments["server-hypercorn"]
    (Path(environment.directory) / ".complete").unlink()
    assert provision_here(facts).changed
    assert versions_in(environment) == environment.versions


def test_another_version_than_the_locks_is_an_error(
    first: Provisioned, facts: HostFacts, tmp_path: Path
) -> None:
    """What is installed is compared with what is asked for; a difference leaves no complete environment."""
    (h11,) = (
        wheel for wheel in wheels_for(export_group("server-hypercorn", ROOT), facts) if wheel.name == "h11"
    )
    directory = tmp_path / "envs" / "broken"
    wanted = WantedEnvironment(str(directory), {"h11": "0.1", "h2": "4.0"})
    request = BuildEnvironment(
        environment=wanted,
        python=facts.python_path,
        uv=first.uv,
        wheels=f"{facts.workdir}/wheels",
        lock=str(tmp_path / "envs" / ".lock"),
        requirements=f"h11=={h11.version} --hash=sha256:{h11.sha256}\n",
        timeout_seconds=60,
    )
    assert ask_the_program("build", request) == {
        "event": "done",
        "differences": [
            f"h11: {h11.version} installed, 0.1 in the lock",
            "h2: nothing installed, 4.0 in the lock",
        ],
    }
    assert not environments.is_complete(WantedEnvironment(str(directory), {"h11": h11.version}))


def ask_the_program(verb: str, request: object, payload: bytes = b"") -> dict[str, object]:
    """The program by itself, as a host runs it."""
    done = subprocess.run(
        bootstrap.command(sys.executable, bootstrap.ENVIRONMENTS),
        input=bootstrap.modules(bootstrap.ENVIRONMENTS) + encode_line(request, do=verb) + payload,
        capture_output=True,
        check=True,
        timeout=120,
    )
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_leading_zeros_are_no_difference() -> None:
    """Calendar versions that keep their zeros in the metadata are the lock's, others are not."""
    assert environments.compare({"a": "2026.01.04", "b": "1.0"}, {"a": "2026.1.4", "b": "1.0"}) == []
    assert environments.compare({"a": "2026.10.4"}, {"a": "2026.1.4"}) != []


@pytest.mark.parametrize(
    ("payload", "words"), [(b"too sh", "the stream ended 2 bytes before"), (b"tampered", "another SHA-256")]
)
def test_a_broken_stream_writes_nothing(payload: bytes, words: str, tmp_path: Path) -> None:
    """A file that comes short or changed is refused and leaves no trace."""
    wanted = HostFile(str(tmp_path / "f"), "0" * 64, 8)
    answer = ask_the_program("receive", ReceiveFiles((wanted,), None), payload)
    assert (answer["event"], answer["kind"]) == ("failed", "payload")
    assert words in str(answer["message"])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_seen_beforehand(tmp_path: Path) -> None:
    """A host without room is told so, with numbers, before anything is written."""
    facts = dataclasses.replace(facts_of_this_machine(tmp_path / "w"), disk_free_bytes=10_000_000)
    with pytest.raises(DiskFull, match="10 MB are free") as caught:
        provision_here(facts)
    assert "asgibench_workdir" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """A file where the work folder should be ends in an error that names the variable to set."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ProvisionError) as caught:
        ship(WatchedConnection(), facts_of_this_machine(tmp_path / "file" / "w"), {"a": b"b"})
    assert "asgibench_workdir" in caught.value.remedy


def test_a_python_that_is_none_is_an_error(tmp_path: Path) -> None:
    """A wrong asgibench_python is named."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho not a Python >&2\nexit 3\n")
    python.chmod(0o755)
    facts = dataclasses.replace(facts_of_this_machine(tmp_path / "w"), python_path=str(python))
    with pytest.raises(ProvisionError, match="status 3") as caught:
        ship(WatchedConnection(), facts, {"a": b"b"})
    assert "asgibench_python" in caught.value.remedy
    assert "not a Python" in caught.value.detail


def test_words_of_the_login_shell_do_no_harm(tmp_path: Path) -> None:
    """Lines that a host prints before our answer are passed over."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho Welcome to this host\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    facts = dataclasses.replace(facts_of_this_machine(tmp_path / "w"), python_path=str(python))
    assert ship(WatchedConnection(), facts, {"a": b"b"}).changed


def test_two_sessions_build_one_environment(tmp_path: Path) -> None:
    """Two names of one machine, provisioned at once, end with one whole environment."""
    facts = facts_of_this_machine(tmp_path / "w")
    start = threading.Barrier(2, timeout=60)

    def session(_: int) -> Provisioned:
        start.wait()
        return provision_here(facts, ["server-hypercorn"])

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(session, range(2)))
    assert results[0].environments == results[1].environments
    assert len(list((tmp_path / "w" / "envs").glob("server-hypercorn-*"))) == 1
    environment = results[0].environments["server-hypercorn"]
    assert versions_in(environment) == environment.versions
    assert not provision_here(facts, ["server-hypercorn"]).changed


FILES = {"agent.py": b"#!/usr/bin/env python3\n", "testapp/data.bin": bytes(range(256)), "empty": b""}


def test_our_files_are_shipped_once(tmp_path: Path) -> None:
    """Files lie in a folder named by their content; what is there is not sent again, what is damaged is."""
    facts = facts_of_this_machine(tmp_path / "w")
    shipped = ship(WatchedConnection(), facts, FILES)
    folder = Path(shipped.directory)
    assert folder.parent == tmp_path / "w" / "ship"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(FILES)
    assert all((folder / name).read_bytes() == content for name, content in FILES.items())
    assert os.access(folder / "agent.py", os.X_OK)
    assert not (folder / "testapp" / "data.bin").stat().st_mode & 0o111
    assert (shipped.changed, shipped.pushed_bytes) == (True, sum(map(len, FILES.values())))

    connection = WatchedConnection()
    again = ship(connection, facts, FILES)
    assert (again.changed, again.pushed_bytes, connection.round_trips) == (False, 0, 1)
    (folder / "agent.py").write_bytes(b"#!/usr/bin/env python2\n")
    assert ship(connection, facts, FILES).pushed_bytes == len(FILES["agent.py"])
    assert ship(connection, facts, FILES | {"empty": b"!"}).directory != shipped.directory


def test_our_files_go_with_the_environments(first: Provisioned, facts: HostFacts) -> None:
    """One question covers environments, uv and our own files together."""
    once = provision_here(facts, files=FILES)
    connection = WatchedConnection()
    again = provision(connection, facts, GROUPS, root=ROOT, report=silent, files=FILES)
    assert once.pushed_bytes == sum(map(len, FILES.values()))
    assert (again.changed, connection.round_trips) == (False, 1)
    assert again.shipped == ship(connection, facts, FILES).directory


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", ""])
def test_a_path_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    """Only relative paths below the folder are shipped."""
    with pytest.raises(ValueError, match="relative path"):
        ship(WatchedConnection(), facts_of_this_machine(tmp_path / "w"), {name: b""})
