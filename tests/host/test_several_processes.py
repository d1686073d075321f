"""What stands behind a server of several processes: their trees under one name, and their Unix sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.samples.memory import memory_of
from bench.samples.processes import processes_of
from bench.samples.tree import tree_of
from bench.wire.agent import Begin, Begun
from remote.onhost.unix_sockets import backlog_of, unix_listeners
from tests.helpers.process_trees import BUSY, GRANDCHILD, HOLD_50_MIB, MIB, line_of, program
from tests.helpers.running_agent import RunningAgent, whole

linux_alone = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a Unix socket's backlog")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningAgent]:
    one = RunningAgent(tmp_path)
    yield one
    one.close()


def test_trees_of_one_target_are_summed_and_another_stays_apart(running: RunningAgent) -> None:
    """A server of two processes, one with a child, beside a balancer of its own."""
    with (
        program(HOLD_50_MIB) as first,
        program(GRANDCHILD, GRANDCHILD) as second,
        program(BUSY) as balancer,
    ):
        for one in (first, second, balancer):
            assert line_of(one) == "ready"
        asked = Begin(
            "one",
            {"server": first.pid, "balancer": balancer.pid},
            interval_seconds=0.05,
            full_interval_seconds=0.2,
            also={"server": (second.pid,)},
        )
        answer = running.ask(asked)
        assert isinstance(answer, Begun) and answer.processes == {"server": 3, "balancer": 1}
        running.until_seen("balancer", lambda seen: seen.cpu_seconds > 0.3)
        samples = running.end()
    trees = {name: tree_of(samples, name) for name in ("server", "balancer")}
    server, other = (memory_of(tree, whole(samples)) for tree in trees.values())
    assert server.rss is not None and other.rss is not None
    # Two hold 50 MiB each, and the third waits.
    assert 100 * MIB < server.rss.median < 180 * MIB
    assert other.rss.median < 40 * MIB
    assert len(processes_of(trees["server"], whole(samples)).at_start) == 3
    # The busy one's CPU is in no other's.
    assert trees["balancer"].points[-1].cpu_seconds > 10 * trees["server"].points[-1].cpu_seconds


def test_a_further_process_needs_a_target_and_a_number(running: RunningAgent) -> None:
    here = {"server": os.getpid()}
    unknown = running.refusal(Begin("one", here, also={"balancer": (os.getpid(),)}))
    assert (unknown.kind, unknown.error) == ("request", "balancer is no target")
    wrong = running.refusal(Begin("one", here, also={"server": (0,)}))
    assert (wrong.kind, wrong.error) == ("request", "target server is 0")
    gone = running.refusal(Begin("one", here, also={"server": (2**22 - 3,)}))
    assert gone.kind == "no_process"


@contextlib.contextmanager
def listening(backlog: int) -> Iterator[tuple[str, socket.socket]]:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as one:
        path = f"{folder}/with a blank"
        one.bind(path)
        one.listen(backlog)
        yield path, one


@linux_alone
@pytest.mark.parametrize("backlog", [1, 77, 2048])
def test_the_kernel_says_a_unix_sockets_backlog(backlog: int) -> None:
    with listening(backlog) as (path, one):
        (inode,) = unix_listeners(path)
        assert inode == os.fstat(one.fileno()).st_ino
        assert backlog_of(inode) == backlog
        # A connection that waits changes the queue, not its length.
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            assert backlog_of(inode) == backlog
    assert not list(unix_listeners(path))


@linux_alone
def test_a_socket_that_does_not_listen_is_none_of_them() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as one:
        one.bind(f"{folder}/bound")
        assert not list(unix_listeners(f"{folder}/bound"))
    assert backlog_of(1) is None


def test_elsewhere_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with listening(5) as (path, one):
        assert not list(unix_listeners(path))
        assert backlog_of(os.fstat(one.fileno()).st_ino) is None
