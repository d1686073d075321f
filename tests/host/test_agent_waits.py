"""What keeps processes from running, as the agent reads it: real quotas, real waits, real threads."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.samples.host import host_cpu, network_use
from bench.samples.quotas import quota_use
from bench.samples.threads import thread_use
from bench.samples.tree import tree_of
from bench.wire.agent import Begin
from remote.onhost.agent import host, linux, portable
from remote.onhost.agent.run import SampledRun
from tests.helpers.own_cgroup import cpu_quota, joining
from tests.helpers.process_trees import BUSY, TWO_BUSY_THREADS, line_of, program, say
from tests.helpers.running_agent import RunningAgent, whole
from tests.helpers.waiting import until

pytestmark = pytest.mark.alone

IS_LINUX = sys.platform.startswith("linux")
needs_linux = pytest.mark.skipif(not IS_LINUX, reason="the kernel's scheduler figures are in /proc")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningAgent]:
    one = RunningAgent(tmp_path)
    yield one
    one.close()


@pytest.mark.parametrize("depth", [0, 2])
def test_a_real_quota_and_its_throttling_are_read_in_parents_too(running: RunningAgent, depth: int) -> None:
    """A busy loop that may have 0.3 cores, in the group itself and in one two below it without a quota."""
    with cpu_quota(0.3) as group:
        below = group.joinpath(*["below"] * depth)
        below.mkdir(parents=True, exist_ok=True)
        try:
            with program(joining(below) + BUSY) as server:
                assert line_of(server) == "ready"
                running.begin(server=server.pid)
                until(lambda: b"nr_throttled 0\n" not in (group / "cpu.stat").read_bytes())
                running.until_seen("server", lambda seen: seen.cpu_seconds > 0.6)
                samples = running.end()
        finally:
            for folder in [below, *below.parents][:depth]:
                until(functools.partial(_is_removed, folder))
    (found,) = quota_use(samples, "here", whole(samples))
    assert (found.group, found.parties, found.cores) == (str(group), ("server",), 0.3)
    assert found.periods >= 3
    assert found.throttled_share > 0.6
    assert found.throttled_seconds > 0.1


def _is_removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def test_without_a_quota_nothing_of_it_is_in_the_samples(running: RunningAgent) -> None:
    if host.reader_here().quotas([Path("/proc/self/cgroup").read_bytes()] if IS_LINUX else []):
        pytest.skip("this machine itself is under a quota")
    with program(BUSY) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        running.until_seen("server", lambda seen: seen.cpu_seconds > 0.3)
        samples = running.end()
    assert quota_use(samples, "here", whole(samples)) == ()
    assert all(not sample.quotas for sample in samples.samples)


@needs_linux
def test_two_processes_on_one_core_wait_for_each_other(running: RunningAgent) -> None:
    core = min(os.sched_getaffinity(0))
    pinned = f"import os; os.sched_setaffinity(0, {{{core}}}); {BUSY}"
    with program(pinned) as server, program(pinned) as other:
        assert line_of(server) == line_of(other) == "ready"
        running.begin(server=server.pid)
        running.until_seen("server", lambda seen: seen.cpu_seconds > 1.0)
        samples = running.end()
    use = thread_use(samples, "server", whole(samples))
    assert use is not None
    # What it didn't run it waited for; others on this machine take of it too.
    assert use.waiting > 0.3
    assert use.busiest + use.waiting == pytest.approx(1.0, abs=0.1)


@needs_linux
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two threads need two cores")
def test_the_busiest_of_two_busy_threads_is_told_from_their_sum(running: RunningAgent) -> None:
    with program(TWO_BUSY_THREADS) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        running.until_seen("server", lambda seen: seen.cpu_seconds > 2.0)
        samples = running.end()
    use = thread_use(samples, "server", whole(samples))
    assert use is not None
    points = tree_of(samples, "server").points
    share = (points[-1].cpu_seconds - points[0].cpu_seconds) / (points[-1].t - points[0].t)
    assert use.busiest <= 1.05
    # The two take about the same: neither has all of it.
    assert 0.35 * share < use.busiest < 0.75 * share


@needs_linux
def test_packets_and_the_kernels_way_with_interrupts_are_read(running: RunningAgent) -> None:
    with program(BUSY) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        running.until_seen("server", lambda seen: seen.cpu_seconds > 0.5)
        samples = running.end()
    network = network_use(samples, whole(samples))
    assert network is not None
    assert network.sent_packets_per_second is not None
    assert network.received_packets_per_second is not None
    assert samples.header.interrupts_apart is host.are_interrupts_apart()
    used = host_cpu(samples, [0], whole(samples))
    assert used is not None
    # Where the kernel has them in the processes' time they aren't counted a second time.
    assert (used.interrupts is None) is (samples.header.interrupts_apart is not True)
    assert all(row.interrupt_seconds is not None for sample in samples.samples for row in sample.cores)


def test_interrupts_are_apart_where_the_kernel_measures_each() -> None:
    assert host.interrupts_apart(0.02, 5) is True
    assert host.interrupts_apart(0.0, 23_000_000) is False
    assert host.interrupts_apart(0.0, 5_000) is None


def test_a_system_without_proc_says_that_waits_and_quotas_are_not_read(tmp_path: Path) -> None:
    reader = portable.PsutilReader()
    assert {"threads", "quotas"} <= reader.absent.keys()
    with program(BUSY) as server:
        assert line_of(server) == "ready"
        run = SampledRun(Begin("one", {"server": server.pid}, 0.01, 0.01, 60.0), reader, tmp_path)
        run.finish("asked")
    text = (tmp_path / "one.jsonl").read_text()
    assert '"th":' not in text
    assert '"q":' not in text


@needs_linux
def test_a_kernel_without_schedstat_is_said_in_the_header(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    reader = linux.ProcReader(str(tmp_path))
    assert reader.absent["threads"] == "this kernel has no schedstat"
    real = linux.ProcReader()
    assert "threads" not in real.absent or not Path("/proc/self/schedstat").exists()
    for one in (reader, real):
        one.close()


@needs_linux
def test_files_of_threads_are_closed_with_their_process() -> None:
    reader = linux.ProcReader()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with subprocess.Popen(["sleep", "30"]) as child:
        handle = reader.hold(child.pid)
        reading = handle.full()
        assert [row.pid for row in reading.threads] == [child.pid]
        handle.close()
        child.kill()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    reader.close()


CHILD = "import time\nend = time.process_time() + 0.04\nwhile time.process_time() < end: pass"
SHORT_LIVED = f"""
import subprocess, sys
CHILD = {CHILD!r}
print('ready', flush=True)
sys.stdin.readline()
for _ in range(25):
    subprocess.run([sys.executable, '-S', '-c', CHILD])
print('done', flush=True)
sys.stdin.read()
"""


@needs_linux
def test_cpu_of_children_that_live_for_a_moment_is_counted(running: RunningAgent) -> None:
    """They come and go between two samples: their parent's own count of them has what the samples lack."""
    with program(SHORT_LIVED) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        say(server, "")
        assert line_of(server) == "done"
        children = psutil.Process(server.pid).cpu_times()
        samples = running.end()
    used = tree_of(samples, "server").points[-1].cpu_seconds
    spent = children.children_user + children.children_system
    assert spent > 1.0
    assert used == pytest.approx(spent, rel=0.15)
