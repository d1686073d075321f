"""A user's own locustfile: what is known of it unrun, how its requests are recorded, real workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from bench.plan.locustfile import read_locustfile, source_of
from bench.wire.codec import decode_line
from bench.wire.load import LoadSpec
from bench.wire.master import RunStarted, RunStopped, StartRun, StopRun
from bench.wire.slices import LocustTotals, Slice
from bench.wire.worker import SpoolTotals
from benchmarks.loopback import LoopbackCluster
from loadgen.onhost.engine.tally import SliceClock
from loadgen.onhost.worker.recorder import RequestRecorder, failure_kind
from tests.helpers.counting_server import BODY, CountingServer
from tests.helpers.endpoints import KNOWN_ENDPOINTS
from tests.helpers.program import ROOT

pytestmark = pytest.mark.alone

SECOND = 1_000_000_000
EXAMPLES = ROOT / "loadgen" / "examples"

TWO_CLASSES = """
from locust import FastHttpUser, HttpUser, constant, task

class Reader(FastHttpUser):
    weight = 3
    @task
    def read(self):
        self.client.get("/counted")

class Checker(HttpUser):
    @task
    def check(self):
        with self.client.get("/counted?x=1", catch_response=True) as answer:
            answer.failure("not as I like it")
"""
ELSEWHERE = """
from locust import FastHttpUser, task

class Wanderer(FastHttpUser):
    @task
    def wander(self):
        self.client.get("/elsewhere")
"""
BROKEN = """
from locust import FastHttpUser, task
raise RuntimeError("no such luck")
class Reader(FastHttpUser): ...
"""


# ---------------------------------------------------------------- unrun


@pytest.mark.parametrize(
    ("name", "base"), [("fast_http_user.py", "FastHttpUser"), ("http_user.py", "HttpUser")]
)
def test_the_examples_are_read(name: str, base: str) -> None:
    found = read_locustfile(EXAMPLES / name, KNOWN_ENDPOINTS.names)
    assert found.user_classes == {"Reader": base}
    assert found.endpoint.name == name.removesuffix(".py")
    assert found.endpoint.is_users_own
    assert source_of(found) == (EXAMPLES / name).read_bytes()


def test_user_classes_are_found_through_aliases_and_classes_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "own file.py"
    path.write_text(
        "import locust\nfrom locust import HttpUser as Base\n"
        "class Common(Base):\n    abstract = True\n"
        "class One(Common): ...\nclass Two(locust.FastHttpUser): ...\nclass Tasks(locust.TaskSet): ...\n"
    )
    found = read_locustfile(path, KNOWN_ENDPOINTS.names)
    assert found.user_classes == {"One": "HttpUser", "Two": "FastHttpUser"}
    assert found.endpoint.name == "own-file"


def test_a_locustfile_is_never_imported_on_the_controller(tmp_path: Path) -> None:
    path = tmp_path / "loud.py"
    path.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass A(HttpUser): ...\n")
    read_locustfile(path, KNOWN_ENDPOINTS.names)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.py", None, "can't be read"),
        ("a.py", "class A(HttpUser:\n", "line 1"),
        ("a.py", "return 1\n", "outside function"),
        ("a.py", "class A(TaskSet): ...\n", "no User class"),
        ("a.py", "class A(HttpUser):\n    abstract = True\n", "no User class"),
        ("a.py", "\0", "a.py"),
        ("orders.py", "class A(HttpUser): ...\n", "another name"),
    ],
)
def test_a_file_that_cannot_be_one_is_refused(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said):
        read_locustfile(tmp_path / name, KNOWN_ENDPOINTS.names)


def test_a_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("class A(HttpUser): ...\n")
    planned = read_locustfile(path, KNOWN_ENDPOINTS.names)
    path.write_text("class A(HttpUser): pass\n")
    with pytest.raises(UsageError, match="changed since"):
        source_of(planned)


# ---------------------------------------------------------------- recorded


class BadStatusCode(Exception):
    """As geventhttpclient names it."""


class CatchResponseError(Exception):
    """As Locust names what response.failure(...) makes."""


def wrapped(inner: BaseException) -> Exception:
    """As requests does: an argument that holds the reason of another."""
    outer = OSError("pool", inner)
    return ConnectionError(outer)


@pytest.mark.parametrize(
    ("exception", "status", "kind"),
    [
        (ConnectionRefusedError(), 0, "refused"),
        (wrapped(ConnectionRefusedError()), None, "refused"),
        (ConnectionResetError(), 0, "reset"),
        (wrapped(BrokenPipeError()), None, "reset"),
        (TimeoutError(), 0, "timeout"),
        (type("ReadTimeout", (type("Timeout", (OSError,), {}),), {})(), None, "timeout"),
        (type("HTTPConnectionClosed", (type("HTTPParseError", (Exception,), {}),), {})(), 0, "closed_early"),
        (type("HTTPParseError", (Exception,), {})(), 0, "bad_framing"),
        (BadStatusCode(), 404, "bad_status"),
        (CatchResponseError(), 503, "bad_status"),
        (CatchResponseError(), 200, "rejected"),
        ("a text", 200, "rejected"),
        (ValueError(), 200, "other"),
    ],
)
def test_failures_are_told_apart(exception: BaseException | str, status: int | None, kind: str) -> None:
    assert failure_kind(exception, status) == kind


def recorder(begin: int, emitted: list[Slice]) -> tuple[RequestRecorder, int]:
    """Its epoch is in 0.5 s; the second value is that moment."""
    clock = SliceClock(time.monotonic() + 0.5, 0.0)
    epoch = clock.epoch_nanoseconds
    one = RequestRecorder(
        clock,
        worker="w",
        base_url="http://h:1",
        counted_paths=["/a"],
        connections=lambda: 7,
        emit=emitted.append,
        now=epoch + begin,
    )
    return one, epoch


def note(one: RequestRecorder, now: int, **changes: Any) -> None:
    request = {
        "response_time_ms": 1.5,
        "length_bytes": 22,
        "exception": None,
        "status": 200,
        "url": "http://h:1/a",
    }
    one.record(now, **{**request, **changes})


def test_requests_go_into_the_second_they_ended_in_and_none_is_left_out() -> None:
    emitted: list[Slice] = []
    one, epoch = recorder(-SECOND // 4, emitted)
    note(one, epoch - 1)
    note(one, epoch)
    note(one, epoch + 3 * SECOND - 1, exception=ConnectionResetError(), status=None)
    one.note_lag(epoch + 3 * SECOND, 5_000_000)
    totals = one.close(epoch + 3 * SECOND + 1, 2)
    assert [slice_.k for slice_ in emitted] == [-1, 0, 1, 2, 3]
    assert [slice_.requests for slice_ in emitted] == [1, 1, 0, 0, 0]
    assert emitted[3].failures == {"reset": 1}
    assert emitted[4].loop_lag_seconds_max == pytest.approx(0.005)
    assert {slice_.connections for slice_ in emitted} == {7}
    assert {slice_.engine_cpu_seconds for slice_ in emitted} == {0.0}
    assert totals.completed == 3
    assert totals.sent == 5
    assert totals.in_flight_at_stop == 2
    assert totals.bytes_received == 66


def test_requests_that_the_app_does_not_count_are_told() -> None:
    one, epoch = recorder(0, [])
    for url in ("http://h:1/a", "http://h:1/a?page=2", "http://h:1/b", "http://other/a", "None"):
        note(one, epoch + 1, url=url)
    assert one.close(epoch + 2, 0).elsewhere == 3


# ---------------------------------------------------------------- real workers


@pytest.fixture(scope="module")
def server() -> Iterator[CountingServer]:
    server = CountingServer()
    yield server
    server.close()


def measure(folder: Path, text: str, port: int, users: int) -> tuple[RunStopped, list[Slice]]:
    """(the stopped event, the slices) of two workers with this file."""
    path = folder / "own.py"
    path.write_text(text)
    with LoopbackCluster(folder, 2, locustfile=path) as cluster:
        spec = LoadSpec(
            host="127.0.0.1", port=port, path="", epoch=time.monotonic() + 0.2, counted_paths=("/counted",)
        )
        cluster.tell(StartRun("own", spec, users))
        cluster.expect(RunStarted, users=users)
        cluster.wait_for_slice("own", 0)
        cluster.tell(StopRun())
        stopped = cluster.expect(RunStopped)
        slices = [event.slice for event in cluster.slices("own")]
        for worker, total in stopped.workers.items():
            spool = folder / worker.partition("/")[2] / "own.jsonl"
            assert decode_line(SpoolTotals, spool.read_bytes().splitlines()[-1]).totals == total
        return stopped, slices


def test_locust_worker_and_server_count_the_same(tmp_path: Path, server: CountingServer) -> None:
    before = server.requests
    stopped, slices = measure(tmp_path, TWO_CLASSES, server.port, 8)
    totals = list(stopped.workers.values())
    answered = sum(total.completed for total in totals)
    rejected = sum(total.failures.get("rejected", 0) for total in totals)
    assert stopped.lost == ()
    assert stopped.locust == LocustTotals(requests=answered, failures=rejected)
    assert sum(one.requests + sum(one.failures.values()) for one in slices) == answered
    in_flight = sum(total.in_flight_at_stop for total in totals)
    assert 0 <= server.requests - before - answered <= in_flight
    assert answered > rejected > 0, "both classes were at work"
    assert sum(total.bytes_received for total in totals) == answered * len(BODY)
    assert all(total.elsewhere == 0 for total in totals)
    last: dict[int, int] = {}
    for one in slices:
        last[one.k] = one.connections + last.get(one.k, 0)
    assert last[0] == 8
    assert sum(one.locust_cpu_seconds for one in slices) > 0.1


def test_failures_come_by_kind_and_nothing_is_left_running(tmp_path: Path, server: CountingServer) -> None:
    port = server.port
    server.fails = True
    try:
        stopped, _ = measure(tmp_path, ELSEWHERE, port, 2)
    finally:
        server.fails = False
    for total in stopped.workers.values():
        assert set(total.failures) == {"bad_status"}
        assert total.elsewhere == total.completed > 0
