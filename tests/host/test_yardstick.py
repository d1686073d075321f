"""The yardstick in a real agent: fixed work on a core that is named, slower where the core is shared."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from bench.results.speed import RestReadings, SpeedEvidence, machine_speed
from bench.samples.memory import memory_of
from bench.samples.tree import tree_of
from bench.wire.agent import Gauge, Gauged
from tests.helpers.process_trees import HOLD_50_MIB, line_of, program
from tests.helpers.running_agent import RunningAgent, whole

pytestmark = pytest.mark.alone

IS_LINUX = sys.platform.startswith("linux")
SPIN = [sys.executable, "-S", "-c", "while True: pass"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningAgent]:
    one = RunningAgent(tmp_path)
    yield one
    one.close()


def gauge(running: RunningAgent, core: int | None) -> Gauged:
    answer = running.ask(Gauge(core))
    assert isinstance(answer, Gauged), answer
    return answer


def wall(readings: list[Gauged]) -> float:
    return median(one.computing_wall_seconds for one in readings)


def test_both_pieces_of_work_are_timed_on_any_core_between_runs(running: RunningAgent) -> None:
    found = gauge(running, None)
    assert found.core is None
    for cpu, clock in (
        (found.computing_cpu_seconds, found.computing_wall_seconds),
        (found.kernel_cpu_seconds, found.kernel_wall_seconds),
    ):
        assert 1e-4 < cpu <= clock * 1.5 < 2


@pytest.mark.skipif(not IS_LINUX, reason="only Linux pins a process to a core")
def test_the_work_is_done_on_the_core_that_is_named_and_the_agent_goes_back(running: RunningAgent) -> None:
    before = os.sched_getaffinity(running.process.pid)
    for core in sorted(before):
        assert gauge(running, core).core == core
        assert os.sched_getaffinity(running.process.pid) == before


@pytest.mark.skipif(not IS_LINUX, reason="only Linux pins a process to a core")
def test_a_core_that_is_not_there_is_refused_with_its_reason_and_the_next_reading_works(
    running: RunningAgent,
) -> None:
    refusal = running.refusal(Gauge(100_000))
    assert refusal.kind == "yardstick" and "core 100000" in refusal.error and refusal.remedy
    assert isinstance(running.ask(Gauge(min(os.sched_getaffinity(0)))), Gauged)


def test_a_reading_within_a_run_costs_no_sample_and_leaves_the_servers_memory_as_it_is(
    running: RunningAgent,
) -> None:
    with program(HOLD_50_MIB) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        time.sleep(0.5)
        between = time.monotonic()
        for _ in range(10):
            gauge(running, None)
            time.sleep(0.05)
        samples = running.end()
    assert samples.footer is not None and samples.footer.missed <= 1
    tree = tree_of(samples, "server")
    start, end = whole(samples)
    quiet, read = memory_of(tree, (start, between)), memory_of(tree, (between, end))
    assert quiet.rss is not None and read.rss is not None
    assert read.rss.median == quiet.rss.median
    if IS_LINUX:
        assert quiet.pss is not None and read.pss is not None
        # Other processes of this machine come and go, and share what its programs have in common.
        assert abs(read.pss.median / quiet.pss.median - 1) < 0.02


@pytest.mark.skipif(not IS_LINUX, reason="only Linux pins a process to a core")
def test_a_core_with_a_busy_neighbour_reads_slower_by_the_clock(running: RunningAgent) -> None:
    """A core that another program takes half of does the work in twice the time."""
    core = min(os.sched_getaffinity(0))
    quiet = [gauge(running, core) for _ in range(12)]
    # Of a higher priority than the agent's, so that the agent gets a small part of the core.
    os.setpriority(os.PRIO_PROCESS, running.process.pid, 10)
    # Several: who wakes up may take a core from one program for as long as the work takes.
    busy = [subprocess.Popen(["taskset", "-c", str(core), *SPIN]) for _ in range(4)]
    try:
        time.sleep(0.3)
        shared = [gauge(running, core) for _ in range(12)]
    finally:
        for one in busy:
            one.kill()
            one.wait()
    assert wall(shared) > 1.5 * wall(quiet)
    # By CPU time, which a run is judged by, it is the same work.
    speed = machine_speed(
        SpeedEvidence(RestReadings(tuple(quiet)), RestReadings(tuple(shared)), None), ()
    ).server
    assert speed.moved is not None and 0.3 < speed.moved < 3
