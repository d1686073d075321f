"""Real Locust processes: users become connections, counts agree, and a lost worker is noticed."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.wire.codec import decode_line
from bench.wire.load import Expect, LoadSpec
from bench.wire.master import (
    ChangeUsers,
    MasterError,
    RunStarted,
    RunStopped,
    StartRun,
    StopRun,
    WorkerState,
)
from bench.wire.slices import Slice
from bench.wire.worker import SpoolHead, SpoolTotals
from benchmarks.loopback import LoopbackCluster
from tests.helpers.counting_server import BODY, CountingServer

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def server() -> Iterator[CountingServer]:
    server = CountingServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackCluster]:
    """Two workers that live through several tests, as they live through several runs."""
    with LoopbackCluster(tmp_path_factory.mktemp("cluster"), 2) as cluster:
        yield cluster


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[LoopbackCluster]:
    """Two workers for a test that breaks something."""
    with LoopbackCluster(tmp_path, 2) as cluster:
        yield cluster


def load(server: CountingServer, **changes: Any) -> LoadSpec:
    spec = LoadSpec("127.0.0.1", server.port, "/", time.monotonic() + 0.2, expect=Expect(length=len(BODY)))
    return dataclasses.replace(spec, **changes)


def start(cluster: LoopbackCluster, run: str, spec: LoadSpec, users: int) -> float:
    """Returns the seconds it took."""
    begun_at = time.monotonic()
    cluster.tell(StartRun(run, spec, users))
    cluster.expect(RunStarted, run=run, users=users)
    return time.monotonic() - begun_at


def stop(cluster: LoopbackCluster, run: str) -> tuple[RunStopped, float]:
    """The stopped event, and the seconds it took."""
    begun_at = time.monotonic()
    cluster.tell(StopRun())
    stopped = cluster.expect(RunStopped, run=run)
    return stopped, time.monotonic() - begun_at


def spooled(cluster: LoopbackCluster, worker: str, run: str) -> list[object]:
    """Every line of a worker's spool, each as what it is by its place."""
    path = cluster.folder / worker.split("/")[1] / f"{run.replace('/', '_')}.jsonl"
    first, *slices, last = path.read_bytes().splitlines()
    return [
        decode_line(SpoolHead, first),
        *(decode_line(Slice, line) for line in slices),
        decode_line(SpoolTotals, last),
    ]


@pytest.mark.parametrize("run", ["block/1", "block/2"])
def test_counts_agree_on_all_sides_run_after_run(
    cluster: LoopbackCluster, server: CountingServer, run: str
) -> None:
    before = server.requests
    server.fails = True
    start(cluster, run, load(server), 6)
    cluster.wait_for_slice(run, 1)
    stopped, _ = stop(cluster, run)
    server.fails = False
    totals = stopped.workers
    served = server.requests - before
    assert set(totals) == set(cluster.workers)
    assert stopped.lost == ()
    assert sum(total.in_flight_at_stop for total in totals.values()) == 0
    assert sum(total.completed for total in totals.values()) == served == stopped.locust.requests
    failures = sum(total.failures["bad_status"] for total in totals.values())
    assert served // 10 - 1 <= failures == stopped.locust.failures <= served // 10 + 1
    for worker, total in totals.items():
        arrived = [event.slice for event in cluster.slices(run, worker)]
        assert sum(slice_.requests for slice_ in arrived) == total.requests > 0
        # Slice -1 is there only where the worker had answers before the epoch.
        first = arrived[0].k
        assert first in (-1, 0)
        assert [slice_.k for slice_ in arrived] == list(range(first, first + len(arrived)))
        assert spooled(cluster, worker, run) == [SpoolHead(run, worker), *arrived, SpoolTotals(total)]


def test_a_run_costs_little_to_start_and_to_stop(cluster: LoopbackCluster, server: CountingServer) -> None:
    """The best of three, because the machine that tests is busy."""
    costs = []
    for number in range(3):
        to_start = start(cluster, f"short{number}", load(server), 50)
        costs.append((to_start, stop(cluster, f"short{number}")[1]))
    assert min(to_start for to_start, _ in costs) < 0.2
    assert min(to_stop for _, to_stop in costs) < 0.3


def test_the_number_of_users_is_followed_in_mid_run(cluster: LoopbackCluster, server: CountingServer) -> None:
    start(cluster, "ramp", load(server), 4)
    for k, users in enumerate([11, 3, 8]):
        cluster.tell(ChangeUsers(users))
        cluster.expect(RunStarted, run="ramp", users=users)
        cluster.wait_for_slice("ramp", k)
        last = {event.worker: event.slice.connections for event in cluster.slices("ramp")}
        assert sum(last.values()) == users
    stopped, _ = stop(cluster, "ramp")
    assert sum(total.connects for total in stopped.workers.values()) == 4 + 7 + 5


def test_an_open_load_is_sharded_over_the_workers(cluster: LoopbackCluster, server: CountingServer) -> None:
    spec = load(server, mode="open", rate_per_second=400, arrivals="constant", max_backlog=100)
    start(cluster, "open", spec, 8)
    cluster.wait_for_slice("open", 2)
    stopped, _ = stop(cluster, "open")
    for total in stopped.workers.values():
        assert total.failures == {}
        assert total.backlog_dropped == 0
    shares = [total.sent for total in stopped.workers.values()]
    assert max(shares) - min(shares) <= 60, "the workers begin and end within about 0.1 s of each other"


def test_a_load_that_cannot_be_is_an_error_and_the_next_run_works(
    cluster: LoopbackCluster, server: CountingServer
) -> None:
    cluster.tell(StartRun("bad", load(server, host="nowhere.invalid"), 2))
    assert "can't be resolved" in cluster.expect(MasterError).message
    assert len(cluster.expect(RunStopped, run="bad").lost) == 2
    start(cluster, "good", load(server), 2)
    stopped, _ = stop(cluster, "good")
    assert stopped.locust.failures == 0


def test_commands_out_of_turn_are_errors(cluster: LoopbackCluster, server: CountingServer) -> None:
    cluster.tell(ChangeUsers(3))
    assert "no run" in cluster.expect(MasterError).message
    cluster.send_line(b'{"do":"dance"}\n')
    assert "not a command" in cluster.expect(MasterError).message
    start(cluster, "one", load(server), 2)
    cluster.tell(StartRun("two", load(server), 2))
    assert "still under way" in cluster.expect(MasterError).message
    stopped, _ = stop(cluster, "one")
    assert stopped.lost == ()


@pytest.mark.parametrize("victim", ["worker", "engine", "silent worker"])
def test_a_lost_worker_ends_the_run_within_five_seconds(
    own_cluster: LoopbackCluster, server: CountingServer, victim: str
) -> None:
    start(own_cluster, "doomed", load(server), 4)
    own_cluster.wait_for_slice("doomed", 0)
    process = own_cluster.workers["here/1"]
    if victim == "engine":
        os.kill(engine_of(process.pid), signal.SIGKILL)
    else:
        os.kill(process.pid, signal.SIGKILL if victim == "worker" else signal.SIGSTOP)
    begun_at = time.monotonic()
    if victim != "engine":
        own_cluster.expect(WorkerState, worker="here/1", state="lost")
    assert "here/1" in own_cluster.expect(MasterError).message
    assert time.monotonic() - begun_at < 5
    stopped = own_cluster.expect(RunStopped, run="doomed")
    assert stopped.lost == ("here/1",)
    assert set(stopped.workers) == {"here/0"}
    users = [event.slice.connections for event in own_cluster.slices("doomed", "here/0")]
    assert max(users) == 2, "its users were not handed to the other"
    own_cluster.tell(StopRun())
    assert own_cluster.expect(RunStopped) == stopped, "a stop that comes late is answered all the same"
    if victim == "silent worker":
        os.kill(process.pid, signal.SIGCONT)


def engine_of(worker: int) -> int:
    """The engine's process: the worker's only child."""
    if not Path("/proc").exists():
        pytest.skip("finds the engine by /proc")
    (child,) = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    return int(child)


def test_nothing_outlives_the_controller(own_cluster: LoopbackCluster, server: CountingServer) -> None:
    start(own_cluster, "left alone", load(server), 2)
    engines = [engine_of(worker.pid) for worker in own_cluster.workers.values()]
    own_cluster.hang_up()
    assert own_cluster.master.wait(10) == 0
    assert [worker.wait(10) for worker in own_cluster.workers.values()] == [0, 0]
    assert not any(Path(f"/proc/{engine}").exists() for engine in engines)


def test_a_worker_does_not_outlive_its_master(own_cluster: LoopbackCluster, server: CountingServer) -> None:
    start(own_cluster, "orphaned", load(server), 2)
    own_cluster.master.kill()
    for worker in own_cluster.workers.values():
        worker.wait(15)
