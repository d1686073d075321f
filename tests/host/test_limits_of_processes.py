"""What the judge makes of real processes: several busy threads, uneven workers, a shared core."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.judge.figures import CpuUse, HostUse, LoadUse, RunFigures
from bench.judge.judge import Judgement, judge
from bench.samples.host import host_cpu
from bench.samples.processes import core_shares_by_process
from bench.samples.read import Samples
from bench.samples.threads import thread_use
from bench.samples.tree import cpu_of, tree_of
from tests.helpers.process_trees import BUSY, READY, TWO_BUSY_THREADS, line_of, program
from tests.helpers.running_agent import RunningAgent, whole

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="threads and waits are in Linux's /proc"),
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two of them need two cores"),
]

# Two workers below a parent: all connections went to one of them.
ONE_BUSY_WORKER = f"""
import os, time
if os.fork() == 0:
    while True: pass
if os.fork() == 0:
    time.sleep(60)
{READY}
time.sleep(60)
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningAgent]:
    one = RunningAgent(tmp_path)
    yield one
    one.close()


def sampled(running: RunningAgent, code: str) -> Samples:
    with program(code) as server:
        assert line_of(server) == "ready"
        running.begin(server=server.pid)
        running.until_seen("server", lambda seen: seen.cpu_seconds > 1.5)
        return running.end()


def judged(samples: Samples, cores: list[int], workers: int = 1) -> tuple[RunFigures, Judgement]:
    """As a run's figures are made of samples, with a load that had time to spare."""
    window, tree = whole(samples), tree_of(samples, "server")
    cpu, threads = cpu_of(tree, window), thread_use(samples, "server", window)
    used = host_cpu(samples, cores, window)
    assert cpu is not None and threads is not None and used is not None
    server = CpuUse(
        cpu.core_share,
        min(workers, len(cores)),
        max(core_shares_by_process(tree, window).values()) if workers > 1 else None,
        threads.busiest,
        threads.waiting,
    )
    others = max(0.0, used.busy - cpu.core_share)
    host = HostUse(len(cores), used.busy, others, used.stolen, used.interrupts)
    load = (LoadUse("a/0", 0.3, host="a"),)
    figures = RunFigures(1_000, server, load, host=host, shared_cores=len(cores), connections=50)
    return figures, judge(figures)


def codes(judgement: Judgement) -> set[str]:
    return {reason.code() for reason in judgement.reasons}


def test_two_busy_threads_of_one_worker_are_no_full_server(running: RunningAgent) -> None:
    """On four cores, as far as the judge knows: on two of a quiet machine they would fill both."""
    samples = sampled(running, TWO_BUSY_THREADS)
    figures, _ = judged(samples, [0, 1])
    assert figures.has_unclear_threads
    assert figures.server is not None and figures.server.busiest_thread is not None
    assert figures.server.busiest_thread < 0.75 * figures.server.core_share
    if figures.server.busiest_thread < 0.85:
        four = msgspec.structs.replace(figures, shared_cores=4.0, host=None)
        found = judge(four)
        assert (found.limit, codes(found)) == ("none_found", {"ServerThreadsUnclear"})


def test_a_busy_worker_beside_an_idle_one_is_the_servers_limit(running: RunningAgent) -> None:
    figures, found = judged(sampled(running, ONE_BUSY_WORKER), [0, 1], workers=2)
    assert figures.server is not None and figures.server.busiest_process is not None
    assert not figures.has_unclear_threads
    assert figures.server.busiest_process == pytest.approx(figures.server.core_share, abs=0.05)
    # On a core that others want too it isn't full, and they are the reason.
    if figures.server.busiest_process >= 0.95:
        assert found.limit == "server_cpu"
        assert "ServerWorkersUneven" in codes(found)
    else:
        assert "OthersOnServerCores" in codes(found)


def test_a_server_that_shares_its_core_with_a_program_was_always_ready_and_lost_half(
    running: RunningAgent,
) -> None:
    pinned = f"import os; os.sched_setaffinity(0, {{0}}); {BUSY}"
    with program(pinned) as other:
        assert line_of(other) == "ready"
        figures, found = judged(sampled(running, pinned), [0])
    assert figures.server is not None
    assert figures.server.core_share < 0.75, "by its own CPU alone it would have time to spare"
    assert figures.server_fill == pytest.approx(1.0, abs=0.12)
    assert found.limit == "server_cpu"
    assert "OthersOnServerCores" in codes(found)
    assert not found.valid
