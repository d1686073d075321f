"""The guard, on real processes: it starts, stops, sweeps up, and gives the host back by itself."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.environment.hosts import Host, HostFacts
from bench.errors import CommandFailed, HostBusy, HostUnsuitable
from remote.guard_link import GuardRefusal
from remote.guarded import GuardedHost, GuardSession
from remote.local import LocalConnection
from tests.helpers.waiting import until

pytestmark = pytest.mark.alone

HOST = Host(name="here", groups=("server",), connection="local", address="127.0.0.1")


def facts(workdir: Path) -> HostFacts:
    return HostFacts(
        host="here",
        system="Linux" if sys.platform == "linux" else "Darwin",
        release="",
        distribution="",
        architecture="x86_64",
        cpu_model="",
        cores_total=os.cpu_count() or 1,
        cores_usable=(0,),
        memory_bytes=1,
        python_version="3.11",
        python_path=sys.executable,
        python_implementation="CPython",
        libc="",
        macos_version="",
        user="",
        is_root=os.geteuid() == 0,
        home="",
        workdir=str(workdir),
        disk_free_bytes=1,
        boot_id="",
        cpu_frequency_scaling=None,
        open_files_limit=1024,
        clock_offset_seconds=0.0,
        clock_offset_error_seconds=0.0,
        can_pin=hasattr(os, "sched_setaffinity"),
    )


def guarded(workdir: Path, token: str = "one", lease_seconds: float = 20) -> GuardedHost:
    session = GuardSession(token, "tester", lease_seconds)
    return GuardedHost(LocalConnection(HOST), facts(workdir), session)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GuardedHost]:
    one = guarded(tmp_path / "w")
    yield one
    one.release()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def printed_pids(host: GuardedHost, log: str, count: int) -> list[int]:
    until(lambda: len(host.tail(log).split()) >= count)
    return [int(word) for word in host.tail(log).split()]


NESTED = "sleep 300 & echo $!; setsid sleep 300 & echo $!; echo $$; wait"


def test_a_command_brings_back_its_status_and_both_outputs(host: GuardedHost) -> None:
    done = host.run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"in", check=False)
    assert (done.exit_status, done.stdout, done.stderr) == (3, b"in", b"err\n")


def test_large_input_reaches_the_command_whole_and_leaves_no_file(host: GuardedHost) -> None:
    done = host.run(["wc", "-c"], stdin=b"x" * 3_000_000)
    assert done.stdout.split()[0] == b"3000000"
    assert not list(Path(host.workdir, "guard").glob("stdin-*"))


def test_a_command_over_its_time_is_ended_and_says_so(host: GuardedHost) -> None:
    with pytest.raises(CommandFailed, match="longer than"):
        host.run(["sleep", "60"], timeout_seconds=0.2)


def test_stop_ends_the_whole_family(host: GuardedHost) -> None:
    host.start("family", ["sh", "-c", NESTED], log="family.log")
    pids = printed_pids(host, "family.log", 3)
    assert all(map(alive, pids))
    host.stop("family", grace_seconds=2)
    assert not any(map(alive, pids))


def test_a_process_that_ignores_the_signal_is_killed_after_its_grace(host: GuardedHost) -> None:
    host.start("deaf", ["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.05; done"], log="deaf.log")
    printed_pids(host, "deaf.log", 1)
    ended = host.stop("deaf", grace_seconds=0.2)
    assert ended.exit_status == -signal.SIGKILL
    assert ended.killed >= 1


def test_a_process_that_ends_by_itself_is_told_at_once(host: GuardedHost) -> None:
    host.start("short", ["sh", "-c", "exit 7"], log="short.log")
    until(lambda: host.exit_status("short") == 7)


def test_a_second_session_is_told_who_holds_the_host(host: GuardedHost) -> None:
    with pytest.raises(HostBusy, match="in use by tester"):
        guarded(Path(host.workdir), token="two")


def test_the_same_session_comes_back_after_a_lost_connection(host: GuardedHost) -> None:
    pid = host.start("stays", ["sleep", "300"], log="stays.log")
    host._link._stream.close()
    until(host.is_lost)
    host.reattach(LocalConnection(HOST))
    assert alive(pid)
    assert host.stop("stays").exit_status == -signal.SIGTERM


def test_release_leaves_nothing_and_frees_the_host(tmp_path: Path) -> None:
    first = guarded(tmp_path / "w")
    first.start("family", ["sh", "-c", NESTED], log="family.log")
    pids = printed_pids(first, "family.log", 3)
    first.release()
    assert not any(map(alive, pids))
    second = guarded(tmp_path / "w", token="two")
    second.release()


def test_an_expired_lease_stops_everything(tmp_path: Path) -> None:
    host = guarded(tmp_path / "w", lease_seconds=1.0)
    host.start("family", ["sh", "-c", NESTED], log="family.log")
    pids = printed_pids(host, "family.log", 3)
    host.abandon()
    until(lambda: not any(map(alive, pids)))
    until(lambda: not Path(tmp_path, "w", "guard", "sock").exists())


def test_what_a_killed_guard_left_is_swept_by_the_next(tmp_path: Path) -> None:
    first = guarded(tmp_path / "w")
    first.start("family", ["sh", "-c", NESTED], log="family.log")
    pids = printed_pids(first, "family.log", 3)
    guard_pid = first.guard_pid
    os.kill(guard_pid, signal.SIGKILL)
    until(first.is_lost)
    first.abandon()
    second = guarded(tmp_path / "w", token="two")
    # What made a session of its own and lost its parent can't be told from others' processes any more.
    until(lambda: not alive(pids[2]) and not alive(pids[0]))
    second.release()
    os.kill(pids[1], signal.SIGKILL)


def test_a_missing_program_is_refused_with_its_name(host: GuardedHost) -> None:
    with pytest.raises(GuardRefusal, match="no-such-program"):
        host.start("x", ["no-such-program"], log="x.log")


def test_files_travel_whole_and_stay_below_the_work_folder(host: GuardedHost) -> None:
    data = os.urandom(100_000)
    host.write("sub/file", data)
    assert host.read("sub/file") == data
    assert Path(host.workdir, "sub/file").stat().st_mode & 0o777 == 0o600
    with pytest.raises(GuardRefusal, match="outside"):
        host.write("../escape", b"")
    host.remove("sub")
    assert not Path(host.workdir, "sub").exists()


def test_a_taken_port_is_told_from_a_free_one(host: GuardedHost) -> None:
    port = host.free_port("127.0.0.1")
    assert host.port_problem("127.0.0.1", port) is None
    code = f"import socket,time; s=socket.create_server(('127.0.0.1',{port})); print(1,flush=True)"
    code += "; time.sleep(99)"
    host.start("listener", [sys.executable, "-c", code], log="listener.log")
    until(lambda: host.tail("listener.log") != "")
    problem = host.port_problem("127.0.0.1", port)
    assert problem is not None
    assert problem.kind == "taken"
    assert "EADDRINUSE" in problem.text


@pytest.fixture
def ignored_signals() -> Iterator[None]:
    """As a background shell and nohup start a program."""
    numbers = (signal.SIGINT, signal.SIGQUIT)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


SHOW_IGNORED = (
    "import signal; print([number.name for number in (signal.SIGINT, signal.SIGQUIT) "
    "if signal.getsignal(number) is signal.SIG_IGN], flush=True)"
)


@pytest.mark.usefixtures("ignored_signals")
def test_children_can_be_interrupted_though_we_were_started_with_interrupts_ignored(tmp_path: Path) -> None:
    connection = LocalConnection(HOST)
    show = [sys.executable, "-I", "-c", SHOW_IGNORED]
    assert connection.run(show).stdout.strip() == b"[]"
    stream = connection.stream(show)
    assert next(stream.lines()) == b"[]"
    stream.close()
    host = guarded(tmp_path / "w")
    try:
        assert host.run(show).stdout.strip() == b"[]"
        host.start("shown", show, log="shown.log")
        until(lambda: host.tail("shown.log") == "[]\n")
    finally:
        host.release()


def test_the_guard_takes_no_folder_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "thesis.tex").touch()
    with pytest.raises(HostUnsuitable, match="was not made by asgibench") as caught:
        guarded(tmp_path / "w")
    assert "asgibench_workdir" in caught.value.remedy
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["thesis.tex"]


def test_a_guard_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostUnsuitable, match=r"the guard did not start .*Not a directory"):
        guarded(tmp_path / "file" / "w")


def test_the_guard_takes_only_its_owners_folder(tmp_path: Path) -> None:
    host = guarded(tmp_path / "w")
    assert (tmp_path / "w" / "guard").stat().st_mode & 0o777 == 0o700
    host.release()


def test_the_clocks_of_this_machine_have_no_offset(host: GuardedHost) -> None:
    clocks = host.read_clocks()
    assert abs(clocks.monotonic_offset) <= clocks.error
    assert abs(clocks.wall_offset) <= clocks.error + 0.001
    assert clocks.wall_lead == pytest.approx(time.time() - time.monotonic(), abs=0.005)
    assert clocks.at == pytest.approx(time.monotonic(), abs=5)
