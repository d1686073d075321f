"""The agent, on real process trees: what it sees, what it survives, and what it says is missing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.samples.memory import memory_of
from bench.samples.processes import processes_of
from bench.samples.read import Samples, parse_samples
from bench.samples.tree import cpu_of, tree_of
from bench.wire.agent import (
    Answer,
    Begin,
    Begun,
    End,
    Ended,
    Peek,
    Peeked,
    Refusal,
    Request,
    TreeNow,
    decode_answer,
    encode_request,
)
from remote.onhost.agent import linux, portable
from remote.onhost.agent.__main__ import ALREADY_STATUS
from remote.onhost.agent.forest import Forest
from remote.onhost.agent.host import reader_here
from remote.onhost.agent.readers import Handle, Reader
from remote.onhost.agent.run import SampledRun
from remote.onhost.agent.schedule import Schedule
from remote.onhost.processes import Gone, Kin, Unreadable

IS_LINUX = sys.platform.startswith("linux")
ROOT = Path(__file__).resolve().parents[2]
# As it is started on a host: the shipped tree on the path.
AGENT = [sys.executable, "-m", "remote.onhost.agent"]
AGENT_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
MIB = 1 << 20

READY = "print('ready', flush=True)\n"
WAIT = "import sys; sys.stdin.read()\n"
HOLD_50_MIB = f"held = b'x' * (50 << 20)\n{READY}{WAIT}"
# A child that has a child, which holds the memory.
GRANDCHILD = f"""
import subprocess, sys
if len(sys.argv) < 3:
    subprocess.run([sys.executable, '-c', sys.argv[1], sys.argv[1], 'grandchild'])
else:
    held = b'x' * (50 << 20)
    {READY}    {WAIT}"""
BUSY = "print('ready', flush=True)\nwhile True: pass\n"
# Starts a child for each line it reads, and one in a session of its own for "session".
SPAWNER = """
import subprocess, sys
children = []
print('ready', flush=True)
for line in sys.stdin:
    if line.strip() == 'stop':
        children.pop().kill()
        continue
    children.append(subprocess.Popen(['sleep', '60'], start_new_session=line.strip() == 'session'))
    print(children[-1].pid, flush=True)
for child in children:
    child.kill()
"""
# Its child is given away to init (or a subreaper) but stays in the session.
ORPHAN = """
import os, subprocess, sys
if os.fork() == 0:
    child = subprocess.Popen(['sleep', '60'])
    print(child.pid, flush=True)
    os._exit(0)
os.wait()
sys.stdin.read()
"""


@contextlib.contextmanager
def program(code: str, *arguments: str, session: bool = True) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has printed its first line; its whole session is ended afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=session,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    family: list[psutil.Process] = []
    try:
        yield process
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        if session:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


class Talk:
    """A client of the agent's control socket."""

    def __init__(self, control: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        here = Path.cwd()
        os.chdir(control.parent)
        try:
            self._socket.connect(control.name)
        finally:
            os.chdir(here)
        self._file = self._socket.makefile("rb")

    def ask(self, request: Request) -> Answer:
        self.send_raw(encode_request(request))
        return self.read()

    def send_raw(self, line: bytes) -> None:
        self._socket.sendall(line)

    def read(self) -> Answer:
        return decode_answer(self._file.readline())

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def lines_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The lines of one kind in the file of run "one"."""
    lines = [json.loads(line) for line in (folder / "one.jsonl").read_bytes().splitlines()]
    return [line for line in lines if line["k"] == kind]


class RunningAgent:
    """A real agent process; ``ask`` raises nothing: refusals are answers too."""

    def __init__(self, folder: Path) -> None:
        self.control = folder / "control.sock"
        self.directory = folder / "samples"
        self.process = subprocess.Popen(
            [*AGENT, "--control", str(self.control), "--directory", str(self.directory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=AGENT_ENVIRONMENT,
            cwd=folder,
        )
        assert line_of(self.process) == "ready"
        self.talk = Talk(self.control)

    def ask(self, request: Request) -> Answer:
        return self.talk.ask(request)

    def refusal(self, request: Request) -> Refusal:
        answer = self.ask(request)
        assert isinstance(answer, Refusal), answer
        return answer

    def begin(self, run: str = "one", **targets: int) -> None:
        answer = self.ask(Begin(run, targets, interval_seconds=0.05, full_interval_seconds=0.2))
        assert isinstance(answer, Begun), answer

    def present(self) -> dict[str, TreeNow]:
        answer = self.ask(Peek())
        assert isinstance(answer, Peeked), answer
        return answer.targets

    def is_idle(self) -> bool:
        answer = self.ask(Peek())
        return isinstance(answer, Refusal) and answer.kind == "idle"

    def ended(self) -> Ended:
        answer = self.ask(End())
        assert isinstance(answer, Ended), answer
        return answer

    def read(self, run: str = "one") -> Samples:
        return parse_samples((self.directory / f"{run}.jsonl").read_bytes())

    def gone(self) -> set[str]:
        """The targets that the file says have ended."""
        return {line["target"] for line in lines_of(self.directory, "gone")}

    def end(self, run: str = "one") -> Samples:
        self.ended()
        samples = self.read(run)
        assert samples.complete
        return samples

    def until_seen(self, target: str, check: Callable[[TreeNow], bool]) -> None:
        until(lambda: target in (present := self.present()) and check(present[target]))

    def close(self) -> None:
        self.talk.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningAgent]:
    one = RunningAgent(tmp_path)
    yield one
    one.close()


def whole(samples: Samples) -> tuple[float, float]:
    times = [samples.time_of(sample.monotonic_seconds) for sample in samples.samples]
    return times[0], times[-1]


# ---------------------------------------------------------------- what it sees


def test_memory_that_a_grandchild_holds_is_counted(running: RunningAgent) -> None:
    with program(GRANDCHILD, GRANDCHILD) as parent:
        assert line_of(parent) == "ready"
        running.begin(server=parent.pid)
        running.until_seen("server", lambda seen: seen.processes == 2)
        samples = running.end()
    memory = memory_of(tree_of(samples, "server"), whole(samples))
    assert memory.rss is not None
    assert 50 * MIB < memory.rss.median < 120 * MIB
    assert memory.uss is not None
    assert 50 * MIB < memory.uss.peak < memory.rss.peak
    if IS_LINUX:
        assert memory.pss is not None
        assert memory.uss.peak < memory.pss.peak <= memory.rss.peak


def test_memory_taken_during_a_run_shows_as_that_much_more(running: RunningAgent) -> None:
    code = f"{READY}import sys\nsys.stdin.readline()\nheld = b'x' * (50 << 20)\n{READY}{WAIT}"
    with program(code) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        say(server, "")
        assert line_of(server) == "ready"
        running.until_seen("server", lambda seen: seen.rss_bytes > 50 * MIB)
        samples = running.end()
    points = tree_of(samples, "server").points
    assert points[0].rss_bytes is not None
    assert points[-1].rss_bytes is not None
    assert abs(points[-1].rss_bytes - points[0].rss_bytes - 50 * MIB) < MIB


def test_cpu_of_a_busy_loop_is_what_the_system_accounts_to_it(running: RunningAgent) -> None:
    with program(BUSY) as server:
        assert line_of(server) == "ready"
        process = psutil.Process(server.pid)
        running.begin(server=server.pid)
        before = process.cpu_times()
        until(lambda: process.cpu_times().user > before.user + 1.0)
        samples = running.end()
        after = process.cpu_times()
    cpu = cpu_of(tree_of(samples, "server"), whole(samples))
    assert cpu is not None
    assert cpu.cpu_seconds == pytest.approx(after.user + after.system - before.user - before.system, rel=0.1)
    assert cpu.core_share <= 1.1


def test_a_new_process_is_found_and_an_ended_one_dropped(running: RunningAgent) -> None:
    with program(SPAWNER) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        say(server, "child")
        child = int(line_of(server))
        born = time.time()
        running.until_seen("server", lambda seen: seen.processes == 2)
        say(server, "stop")
        running.until_seen("server", lambda seen: seen.processes == 1)
        samples = running.end()
    change = processes_of(tree_of(samples, "server"), whole(samples))
    assert change.appeared == change.vanished == {child}
    assert change.at_start == change.at_end == {server.pid}
    first = next(point for point in tree_of(samples, "server").points if point.processes == 2)
    assert first.t - born < 0.5


def test_a_child_in_a_session_of_its_own_belongs_to_the_tree(running: RunningAgent) -> None:
    with program(SPAWNER) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        say(server, "session")
        child = int(line_of(server))
        running.until_seen("server", lambda seen: seen.processes == 2)
        samples = running.end()
    assert child in processes_of(tree_of(samples, "server"), whole(samples)).at_end


def test_an_orphan_is_found_by_its_session(running: RunningAgent) -> None:
    with program(ORPHAN) as server:
        child = int(line_of(server))
        running.begin(server=server.pid)
        # The process between them may take a moment to be gone.
        running.until_seen("server", lambda seen: seen.processes == 2)
        samples = running.end()
    assert processes_of(tree_of(samples, "server"), whole(samples)).at_end == {server.pid, child}


def test_a_target_in_anothers_session_brings_no_strangers(running: RunningAgent) -> None:
    with program(HOLD_50_MIB, session=False) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        samples = running.end()
    assert processes_of(tree_of(samples, "server"), whole(samples)).at_end == {server.pid}


def test_each_target_has_a_tree_of_its_own(running: RunningAgent) -> None:
    with program(SPAWNER) as server, program(HOLD_50_MIB) as database:
        assert line_of(server) == line_of(database) == "ready"
        say(server, "child")
        child = int(line_of(server))
        running.begin(server=server.pid, database=database.pid, child=child)
        samples = running.end()
    span = whole(samples)
    assert processes_of(tree_of(samples, "server"), span).at_end == {server.pid}
    assert processes_of(tree_of(samples, "database"), span).at_end == {database.pid}
    assert processes_of(tree_of(samples, "child"), span).at_end == {child}


def test_open_files_and_switches_are_told_once_a_full_interval(running: RunningAgent) -> None:
    with program(
        f"import time\ntime.sleep(0.01)\nfiles = [open('/dev/null') for _ in range(40)]\n{READY}{WAIT}"
    ) as server:
        assert line_of(server) == "ready"
        count = psutil.Process(server.pid).num_fds()
        running.begin(server=server.pid)
        samples = running.end()
    (full,) = samples.samples[-1].full["server"]
    assert full.open_files == count >= 40
    assert full.voluntary_switches is not None
    assert full.voluntary_switches >= 1
    assert full.involuntary_switches is not None


# ---------------------------------------------------------------- what it survives


def test_it_stops_by_itself_when_all_targets_have_gone(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        server.kill()
        server.wait()
    until(running.is_idle)
    assert running.ended().reason == "targets_gone"
    assert running.read().complete
    assert running.gone() == {"server"}


def test_a_target_that_ends_leaves_the_others_being_sampled(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server, program(HOLD_50_MIB) as database:
        assert line_of(server) == line_of(database) == "ready"
        running.begin(server=server.pid, database=database.pid)
        server.kill()
        server.wait()
        until(lambda: "server" not in running.present())
        samples = running.end()
    assert running.gone() == {"server"}
    assert len(tree_of(samples, "database").points) >= len(tree_of(samples, "server").points)
    assert memory_of(tree_of(samples, "database"), whole(samples)).rss is not None


def test_a_zombie_counts_as_ended(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        server.kill()  # and not waited for
        until(running.is_idle)
        assert running.ended().reason == "targets_gone"


def test_it_stops_after_its_longest_time(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.ask(Begin("one", {"server": server.pid}, interval_seconds=0.02, max_seconds=0.1))
        until(running.is_idle)
        assert running.ended().reason == "max_seconds"


def test_a_run_goes_on_when_its_client_has_gone(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        running.talk.close()
        path = running.directory / "one.jsonl"
        size = path.stat().st_size
        until(lambda: path.stat().st_size > size + 200)
        running.talk = Talk(running.control)
        assert set(running.present()) == {"server"}
        samples = running.end()
    assert len(samples.samples) > 3


def test_an_answer_that_was_lost_is_given_again(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        running.talk.send_raw(encode_request(End()))
        running.talk.close()
        running.talk = Talk(running.control)
        until(running.is_idle)
        ended = running.ended()
        assert running.ended() == ended
    assert ended.sha256 == hashlib.sha256((running.directory / "one.jsonl").read_bytes()).hexdigest()


def test_what_end_tells_is_what_lies_on_the_disk(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        ended = running.ended()
    data = Path(ended.path).read_bytes()
    assert ended.path == str(running.directory / "one.jsonl")
    assert (ended.lines, ended.bytes) == (data.count(b"\n"), len(data))
    assert ended.sha256 == hashlib.sha256(data).hexdigest()


def test_a_signal_closes_the_run_and_removes_the_socket(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        running.process.terminate()
        assert running.process.wait(10) == 0
    footer = running.read().footer
    assert footer is not None
    assert footer.reason == "signal"
    assert not running.control.exists()


def test_a_killed_agent_leaves_whole_lines_and_the_next_takes_its_place(tmp_path: Path) -> None:
    first = RunningAgent(tmp_path)
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        first.begin(server=server.pid)
        first.close()
        samples = first.read()
        assert not samples.complete
        assert samples.samples
        second = RunningAgent(tmp_path)
        second.begin(server=server.pid)
        assert second.end().complete
        second.close()


def test_a_second_agent_on_the_same_socket_gives_way(running: RunningAgent) -> None:
    second = subprocess.run(
        [*AGENT, "--control", str(running.control), "--directory", "unused"],
        capture_output=True,
        text=True,
        cwd=running.directory,
        env=AGENT_ENVIRONMENT,
        timeout=20,
        check=False,
    )
    assert second.returncode == ALREADY_STATUS
    assert "another agent" in second.stderr
    assert running.is_idle()


def test_only_its_owner_can_open_the_socket(running: RunningAgent) -> None:
    assert running.control.stat().st_mode & 0o077 == 0


def test_a_socket_path_longer_than_the_system_allows_still_works(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    one = RunningAgent(folder)
    assert one.is_idle()
    one.close()


@pytest.mark.parametrize(
    ("request_", "kind", "text"),
    [
        (Begin("a", {}), "request", "targets"),
        (Begin("../a", {"server": 1}), "request", "run is"),
        (Begin("a", {"server": 0}), "request", "target server"),
        (Begin("a", {"server": 1}, interval_seconds=0), "request", "interval"),
        (Begin("a", {"server": 1}, max_seconds=1e9), "request", "max_seconds"),
        (Begin("a", {"server": 2**22 + 1}), "no_process", "target server"),
        (Peek(), "idle", "no run"),
        (End(), "idle", "no run"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_with_its_reason(
    running: RunningAgent, request_: Request, kind: str, text: str
) -> None:
    refusal = running.refusal(request_)
    assert refusal.kind == kind
    assert text in refusal.error
    assert refusal.remedy


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"{nonsense", "not JSON"),
        (b"[1]", "do is None"),
        (b'{"do":"dance"}', "do is 'dance', not one of begin, peek, end"),
        (b'{"do":"begin","run":"a","targets":{"server":"1"}}', "Begin.targets['server'] is '1'"),
        (b'{"do":"begin","run":"a"}', "Begin.targets is missing"),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_stays(
    running: RunningAgent, line: bytes, text: str
) -> None:
    running.talk.send_raw(line + b"\n")
    refusal = running.talk.read()
    assert isinstance(refusal, Refusal)
    assert refusal.kind == "request"
    assert text in refusal.error
    assert running.is_idle()


def test_a_second_begin_is_refused_while_a_run_is_sampled(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        assert running.refusal(Begin("two", {"server": server.pid})).kind == "busy"
        running.end()
        running.begin("two", server=server.pid)
        running.end("two")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_full_disk_ends_the_run_and_is_told(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        (running.directory / "full.jsonl").symlink_to("/dev/full")
        refusal = running.refusal(Begin("full", {"server": server.pid}))
        assert (refusal.kind, refusal.remedy) == ("storage", "Make room on the host")
        running.begin(server=server.pid)  # the agent lives on
        running.end()


@pytest.mark.skipif(not IS_LINUX, reason="needs prlimit, which Linux has")
def test_a_disk_that_fills_during_a_run_is_told_by_end(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        # No file may grow beyond this: the nearest thing to a disk that fills up.
        limit_bytes = (running.directory / "one.jsonl").stat().st_size + 300
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
        until(running.is_idle)
        refusal = running.refusal(End())
    assert (refusal.kind, refusal.run) == ("storage", "one")
    assert "File too large" in refusal.error
    samples = running.read()
    assert not samples.complete
    assert samples.samples


# ---------------------------------------------------------------- what a system lacks, and processes that go


@pytest.fixture(params=["proc", "psutil"])
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    if request.param == "proc" and not IS_LINUX:
        pytest.skip("needs /proc")
    one: Reader = linux.ProcReader() if request.param == "proc" else portable.PsutilReader()
    yield one
    one.close()


def sample_in_this_process(reader: Reader, folder: Path, times: int = 3, **targets: int) -> Samples:
    request = Begin("one", targets, 0.01, 0.01, 60.0)
    run = SampledRun(request, reader, folder)
    for _ in range(times):
        run.sample()
    run.finish("asked")
    return parse_samples((folder / "one.jsonl").read_bytes())


def test_both_readers_see_the_same_tree(reader: Reader, tmp_path: Path) -> None:
    with program(GRANDCHILD, GRANDCHILD) as parent:
        assert line_of(parent) == "ready"
        samples = sample_in_this_process(reader, tmp_path, server=parent.pid)
        family = {parent.pid, *(child.pid for child in psutil.Process(parent.pid).children(recursive=True))}
    assert samples.header.reader == reader.name
    assert samples.header.system == platform.system()
    assert processes_of(tree_of(samples, "server"), whole(samples)).at_end == family
    memory = memory_of(tree_of(samples, "server"), whole(samples))
    assert memory.rss is not None
    assert 50 * MIB < memory.rss.median < 120 * MIB
    assert memory.uss is not None


def test_both_readers_take_a_zombie_for_gone(reader: Reader) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        handle = reader.hold(server.pid)
        assert handle.basic().threads == 1
        server.kill()
        # WNOWAIT leaves the zombie where it is.
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(Gone):
            handle.basic()
        handle.close()


def test_both_readers_take_a_reaped_process_for_gone(
    reader: Reader,
) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        handle = reader.hold(server.pid)
        server.kill()
        server.wait()
        for read in (
            handle.basic,
            handle.full,
            lambda: reader.hold(server.pid),
            lambda: reader.kin(server.pid),
        ):
            with pytest.raises(Gone):
                read()
        handle.close()


class Delegate:
    """A reader that passes everything on; the tests below change one part each."""

    def __init__(self, real: Reader) -> None:
        self.real = real
        self.name = real.name
        self.absent = real.absent

    def newest(self) -> bytes | None:
        return self.real.newest()

    def pids(self) -> list[int]:
        return list(self.real.pids())

    def kin(self, pid: int) -> Kin:
        return self.real.kin(pid)

    def hold(self, pid: int) -> Handle:
        return self.real.hold(pid)

    def close(self) -> None:
        self.real.close()


class VanishingReader(Delegate):
    """Every process but the target ends between being listed (and its kin read) and being held."""

    def __init__(self, real: Reader, target: int) -> None:
        super().__init__(real)
        self._target = target
        self.asked: list[int] = []

    def hold(self, pid: int) -> Handle:
        if pid != self._target:
            self.asked.append(pid)
            raise Gone
        return super().hold(pid)


def test_a_process_that_vanishes_between_listing_and_reading_is_left_out(
    reader: Reader, tmp_path: Path
) -> None:
    with program(SPAWNER) as server:
        assert line_of(server) == "ready"
        say(server, "child")
        child = int(line_of(server))
        vanishing = VanishingReader(reader, server.pid)
        samples = sample_in_this_process(vanishing, tmp_path, server=server.pid)
    assert child in vanishing.asked
    assert processes_of(tree_of(samples, "server"), whole(samples)).at_end == {server.pid}


class RefusingReader(Delegate):
    """One process may not be read."""

    def __init__(self, real: Reader, refused: int) -> None:
        super().__init__(real)
        self.refused: int | None = refused

    def hold(self, pid: int) -> Handle:
        if pid == self.refused:
            raise Unreadable("Permission denied")
        return super().hold(pid)


def test_a_process_that_may_not_be_read_is_null_and_said_once(reader: Reader, tmp_path: Path) -> None:
    with program(SPAWNER) as server:
        assert line_of(server) == "ready"
        say(server, "child")
        child = int(line_of(server))
        samples = sample_in_this_process(RefusingReader(reader, child), tmp_path, server=server.pid)
    rows = {row.pid: row for row in samples.samples[-1].processes["server"]}
    assert (rows[child].rss_kib, rows[child].cpu_seconds) == (None, None)
    assert rows[server.pid].rss_kib is not None
    assert [(note["pid"], note["why"]) for note in lines_of(tmp_path, "note")] == [
        (child, "Permission denied")
    ]
    assert tree_of(samples, "server").points[-1].rss_bytes is None
    assert tree_of(samples, "server").points[-1].unreadable == 1


def test_an_unreadable_process_that_becomes_readable_is_read(tmp_path: Path) -> None:
    reader = reader_here()
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        refusing = RefusingReader(reader, server.pid)
        run = SampledRun(Begin("one", {"server": server.pid}, 0.01, 0.01, 60.0), refusing, tmp_path)
        refusing.refused = None
        run.sample()
        run.finish("asked")
    reader.close()
    points = tree_of(parse_samples((tmp_path / "one.jsonl").read_bytes()), "server").points
    assert (points[0].unreadable, points[-1].unreadable) == (1, 0)


# Imports first: a checkout may be closed to other users.
SAMPLE_AS_NOBODY = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bench.wire.agent import Begin
from remote.onhost.agent.host import reader_here
from remote.onhost.agent.run import SampledRun
os.setgid(65534)
os.setuid(65534)
request = Begin('one', {'server': int(sys.argv[3])}, 0.1, 1.0, 60.0)
SampledRun(request, reader_here(), Path(sys.argv[2])).finish('asked')
"""


@pytest.mark.skipif(not IS_LINUX or os.geteuid() != 0, reason="needs root, to read as somebody else")
def test_another_users_process_has_rss_but_no_pss_and_says_so() -> None:
    # pytest's own folders are closed to other users.
    with tempfile.TemporaryDirectory() as folder, program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        Path(folder).chmod(0o777)
        command = [sys.executable, "-c", SAMPLE_AS_NOBODY, str(ROOT), folder, str(server.pid)]
        subprocess.run(command, check=True, timeout=30)
        samples = parse_samples(Path(folder, "one.jsonl").read_bytes())
        notes = {(note["what"], note["why"]) for note in lines_of(Path(folder), "note")}
    memory = memory_of(tree_of(samples, "server"), whole(samples))
    assert memory.rss is not None
    assert memory.rss.median > 50 * MIB
    assert memory.pss is None
    assert ("pss, uss", "Permission denied") in notes


def stand_in_for_proc(folder: Path, pid: int, **files: bytes) -> Path:
    """A folder that looks like /proc with one process in it."""
    process = folder / str(pid)
    process.mkdir(parents=True)
    for name, content in files.items():
        (process / name).write_bytes(content)
    (process / "fd").mkdir()
    (process / "task").mkdir()
    return folder


STAT = b"7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 100 1 2\n"


@pytest.mark.skipif(not hasattr(os, "pread"), reason="needs pread")
def test_a_kernel_without_smaps_rollup_is_said_in_the_header(tmp_path: Path) -> None:
    root = stand_in_for_proc(tmp_path / "proc", 7, stat=STAT, statm=b"900 100 50 1 0 80 0\n")
    reader = linux.ProcReader(str(root))
    assert reader.newest() is None
    samples = sample_in_this_process(reader, tmp_path, server=7)
    assert samples.header.absent == dict.fromkeys(("pss", "uss"), "this kernel has no smaps_rollup")
    (process,) = samples.samples[0].processes["server"]
    page_kib = os.sysconf("SC_PAGE_SIZE") // 1024
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert (process.pid, process.rss_kib, process.threads) == (7, 100 * page_kib, 3)
    assert process.cpu_seconds == pytest.approx(200 * tick)
    (full,) = samples.samples[0].full["server"]
    assert (full.pss_kib, full.uss_kib) == (None, None)


def test_psutil_without_pss_is_said_in_the_header(tmp_path: Path) -> None:
    reader = portable.PsutilReader()
    reader.absent = {"pss": "Darwin has no PSS"}
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        samples = sample_in_this_process(reader, tmp_path, server=server.pid)
    assert samples.header.absent == {"pss": "Darwin has no PSS"}
    memory = memory_of(tree_of(samples, "server"), whole(samples))
    assert memory.pss is None
    assert memory.uss is not None
    assert memory.uss.median > 50 * MIB


@pytest.mark.skipif(not IS_LINUX, reason="needs /proc")
def test_the_newest_process_number_tells_of_every_new_process() -> None:
    reader = linux.ProcReader()
    before = reader.newest()
    if before is None:
        pytest.skip("this kernel doesn't tell of new processes")
    subprocess.run(["true"], check=True)
    assert reader.newest() != before
    reader.close()


class CountingReader(Delegate):
    """Counts how often all processes are listed; tells of new processes only when told to."""

    def __init__(self, real: Reader) -> None:
        super().__init__(real)
        self.listings = 0
        self.news: bytes | None = b"1"

    def newest(self) -> bytes | None:
        return self.news

    def pids(self) -> list[int]:
        self.listings += 1
        return super().pids()


def test_processes_are_listed_only_when_there_are_new_ones(tmp_path: Path) -> None:
    real = reader_here()
    counting = CountingReader(real)
    forest = Forest(counting, {"own": os.getpid()})
    forest.discover(100.0)
    after_first = counting.listings
    for now in (100.3, 100.6, 100.9):
        forest.discover(now)
    assert counting.listings == after_first
    counting.news = b"2"
    forest.discover(100.95)
    assert counting.listings == after_first + 1
    forest.discover(200.0)  # now and then all the same
    assert counting.listings == after_first + 2
    forest.close()
    real.close()


def test_a_reused_number_is_not_taken_for_the_parent_it_once_was() -> None:
    class Scripted(Delegate):
        table: dict[int, Kin]

        def newest(self) -> bytes | None:
            return None

        def pids(self) -> list[int]:
            return list(self.table)

        def kin(self, pid: int) -> Kin:
            return self.table[pid]

        def hold(self, pid: int) -> Handle:
            return self.real.hold(os.getpid())

    real = reader_here()
    scripted = Scripted(real)
    scripted.table = {10: Kin(1, 10), 11: Kin(10, 10)}
    forest = Forest(scripted, {"server": 10})
    assert set(forest.members["server"]) == {10, 11}
    forest.drop("server", 11)
    scripted.table = {10: Kin(1, 10), 11: Kin(1, 99), 12: Kin(11, 99)}
    forest.discover(1e6)
    assert set(forest.members["server"]) == {10}
    forest.close()
    real.close()


def test_a_missed_slot_is_counted_and_not_made_up_for() -> None:
    schedule = Schedule(100.0, 0.1)
    assert schedule.take(100.0) == pytest.approx(0.0)
    assert schedule.take(100.11) == pytest.approx(0.01)
    assert schedule.take(100.45) == pytest.approx(0.05)  # slots 2 and 3 are lost
    assert (schedule.missed, schedule.taken) == (2, 3)
    assert schedule.deadline == pytest.approx(100.5)
    assert schedule.late_max == pytest.approx(0.05)


def test_the_schedule_does_not_drift(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        path = running.directory / "one.jsonl"
        until(lambda: path.read_bytes().count(b'"k":"s"') > 20)
        samples = running.end()
    start = samples.header.monotonic_seconds
    # Both times are rounded to 0.1 ms.
    slots = [int((one.monotonic_seconds - start + 2e-4) / 0.05) for one in samples.samples[:-1]]
    assert samples.footer is not None
    assert slots == sorted(slots)
    # Every slot is there or counted as missed: lateness adds up to nothing.
    assert slots[-1] + 1 == samples.footer.samples + samples.footer.missed


def test_context_switches_are_found_whatever_follows_them() -> None:
    status = (
        b"Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\nx86_Thread_features:\t\n"
    )
    assert linux.switch_counts(status) == (12, 3)


def test_uss_is_the_sum_of_what_is_private() -> None:
    text = b"00-ff ---p 0 00:00 0 [rollup]\nRss: 90 kB\nPss: 50 kB\nPss_Anon: 9 kB\nPrivate_Clean: 1 kB\n"
    assert linux.rollup_sums(text + b"Private_Dirty: 30 kB\nPrivate_Hugetlb: 4 kB\n") == (50, 35)
    with pytest.raises(Gone):
        linux.rollup_sums(b"")
