"""The agent, on real process trees: what it sees and what it survives."""

from __future__ import annotations

import hashlib
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.samples.host import host_cpu
from bench.samples.memory import memory_of
from bench.samples.processes import processes_of
from bench.samples.tree import cpu_of, tree_of
from bench.wire.agent import (
    Begin,
    End,
    Peek,
    Refusal,
    Request,
    encode_request,
)
from remote.onhost.agent.__main__ import ALREADY_STATUS
from tests.helpers.process_trees import (
    BUSY,
    GRANDCHILD,
    HOLD_50_MIB,
    MIB,
    ORPHAN,
    READY,
    SPAWNER,
    WAIT,
    line_of,
    program,
    say,
)
from tests.helpers.running_agent import AGENT, AGENT_ENVIRONMENT, RunningAgent, Talk, whole
from tests.helpers.waiting import until

pytestmark = pytest.mark.alone

IS_LINUX = sys.platform.startswith("linux")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningAgent]:
    one = RunningAgent(tmp_path)
    yield one
    one.close()


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


@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="this system can't pin")
def test_a_core_that_any_program_keeps_busy_is_seen(running: RunningAgent) -> None:
    with program(HOLD_50_MIB) as target, program(BUSY) as other:
        assert line_of(target) == line_of(other) == "ready"
        core = psutil.Process().cpu_affinity()[0]
        psutil.Process(other.pid).cpu_affinity([core])
        running.begin(server=target.pid)
        time.sleep(2.0)
        samples = running.end()
    used = host_cpu(samples, [core], whole(samples))
    assert used is not None
    assert 0.8 < used.busy <= 1.1
    assert host_cpu(samples, [10_000], whole(samples)) is None


def test_traffic_is_what_the_systems_own_counters_say(running: RunningAgent) -> None:
    before = interface_bytes()
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        samples = running.end()
    after = interface_bytes()
    counted = [sample.network_bytes for sample in samples.samples if sample.network_bytes is not None]
    assert len(counted) >= 2
    for low, first, last, high in zip(before, counted[0], counted[-1], after, strict=True):
        assert low <= first <= last <= high


def interface_bytes() -> tuple[int, int]:
    """Sent and received so far by all interfaces but loopback."""
    cards = [card for name, card in psutil.net_io_counters(pernic=True).items() if not name.startswith("lo")]
    return sum(card.bytes_sent for card in cards), sum(card.bytes_recv for card in cards)


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
        (b'{"do":"dance"}', "do is 'dance', not one of begin, peek, gauge, end"),
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
