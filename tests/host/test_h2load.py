"""h2load for real, driven as a load worker drives it: a real server, real sockets, both protocols."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.wire.codec import decode_tagged, encode_tagged
from bench.wire.engine import (
    EVENTS,
    ORDERS,
    ConnectionsSet,
    EndRun,
    EngineFailed,
    EngineReady,
    RunOver,
    SetConnections,
    SetUpRun,
    SliceOver,
)
from bench.wire.histogram import Histogram
from bench.wire.load import Expect, LoadSpec
from bench.wire.slices import Slice, Totals
from tests.helpers.driven_engine import Answer, Request, ok, serving
from tests.helpers.environments import programs_of
from tests.helpers.ports import free_port
from tests.helpers.waiting import until

ROOT = Path(__file__).resolve().parents[2]
BODY = b"x" * 22
CONNECTIONS = 8
SECONDS = 2.05
APP = """
import asyncio

answered = 0

async def app(scope, receive, send):
    global answered
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = b"x" * 22
    if scope["path"] == "/counted":
        body = str(answered).encode()
    else:
        while True:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                break
        answered += scope["http_version"] == {"/h1": "1.1", "/h2": "2"}[scope["path"]]
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""

pytestmark = pytest.mark.skipif(
    shutil.which("h2load") is None, reason="h2load (Debian's nghttp2-client) is not installed"
)


@contextlib.contextmanager
def driver(**variables: str) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """``python -m loadgen.onhost.h2load``, and our end of its channel."""
    ours, theirs = socket.socketpair()
    words = ["--control-fd", str(theirs.fileno()), "--parent", str(os.getpid())]
    process = subprocess.Popen(
        [sys.executable, "-m", "loadgen.onhost.h2load", *words],
        pass_fds=[theirs.fileno()],
        cwd=ROOT,
        env={**os.environ, **variables},
    )
    theirs.close()
    try:
        yield process, ours
    finally:
        ours.close()
        try:
            process.wait(10)
        finally:
            process.kill()


class Outcome:
    """What came of one run."""

    def __init__(self) -> None:
        self.slices: list[Slice] = []
        self.totals: Totals | None = None
        self.failure = ""

    @property
    def whole(self) -> Totals:
        assert self.totals is not None, self.failure
        return self.totals


def drive(load: LoadSpec, connections: int = CONNECTIONS, **variables: str) -> Outcome:
    """One run to its end."""
    found = Outcome()
    with driver(**variables) as (_, channel):

        def send(order: object) -> None:
            channel.sendall(encode_tagged(ORDERS, "do", order))

        send(SetUpRun("r", load, "w", 0, 1))
        send(SetConnections(connections))
        end = load.epoch + (load.seconds or 1.0)
        timer = threading.Timer(end - time.monotonic(), send, [EndRun()])
        timer.start()
        channel.settimeout(20)
        try:
            with channel.makefile("rb") as lines:
                assert decode_tagged(EVENTS, "event", lines.readline()) == EngineReady()
                for line in lines:
                    match decode_tagged(EVENTS, "event", line):
                        case ConnectionsSet(connections=held):
                            assert held == connections
                        case SliceOver(slice=one):
                            found.slices.append(one)
                        case RunOver(totals=totals):
                            found.totals = totals
                            break
                        case EngineFailed(message=message):
                            found.failure = message
                            break
        finally:
            timer.cancel()
    return found


def load(port: int, **changes: Any) -> LoadSpec:
    basis: dict[str, Any] = {
        "host": "127.0.0.1", "port": port, "path": "/h1", "epoch": time.monotonic() + 1.0,
        "expect": Expect(200, len(BODY)), "seconds": SECONDS, "timeout_seconds": 5,
    }  # fmt: skip
    return LoadSpec(**{**basis, **changes})


@pytest.fixture(scope="module")
def hypercorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real server of both protocols, which says how many answers it has given. Its port."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "both.py").write_text(APP)
    port = free_port()
    words = [programs_of("server-hypercorn") / "hypercorn", "both:app", "-w", "0"]
    process = subprocess.Popen(
        [*map(str, words), "-b", f"127.0.0.1:{port}"], cwd=folder, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: counted(port) is not None)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def counted(port: int) -> int | None:
    """By a request of our own; None: it doesn't answer yet."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as sock:
        sock.sendall(b"GET /counted HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        with sock.makefile("rb") as answer:
            return int(answer.read().rpartition(b"\r\n\r\n")[2])
    return None


@pytest.mark.parametrize(("protocol", "path"), [("http/1.1", "/h1"), ("h2", "/h2")])
def test_a_run_becomes_slices_and_totals_that_the_server_counts_too(
    hypercorn: int, protocol: str, path: str
) -> None:
    before = counted(hypercorn) or 0
    found = drive(load(hypercorn, protocol=protocol, path=path))
    totals = found.whole
    answered = (counted(hypercorn) or 0) - before
    assert totals.failures == {}
    assert totals.requests > 20
    # The app counts a request of this protocol only: it saw the version that was asked for.
    assert 0 <= answered - totals.requests <= totals.in_flight_at_stop == CONNECTIONS
    first = found.slices[0].k
    assert [one.k for one in found.slices] == list(range(first, first + len(found.slices)))
    assert {0, 1} <= {one.k for one in found.slices}
    inside = [one for one in found.slices if one.k in (0, 1)]
    assert all(one.seconds == pytest.approx(1, abs=1e-6) for one in inside)
    assert all(one.requests == sum(count for _, count in one.histogram) > 0 for one in inside)
    assert totals.requests == sum(one.requests for one in found.slices)
    merged = Histogram.from_pairs(pair for one in found.slices for pair in one.histogram)
    assert totals.histogram == merged.to_pairs()
    assert sum(one.connects for one in found.slices) == CONNECTIONS
    assert all(one.bodies_checked == 0 for one in found.slices)
    # In a closed loop all connections wait all the time: requests x mean latency is connections x time.
    for one in inside:
        busy = one.requests * Histogram.from_pairs(one.histogram).mean / 1e9
        assert busy == pytest.approx(CONNECTIONS, rel=0.25)
    if sys.platform == "linux":
        assert all(0 < one.engine_cpu_seconds < 1.1 for one in inside)
        assert all(one.bytes_received > one.requests * len(BODY) for one in inside)


def test_a_body_is_posted_and_what_is_read_of_it_is_not_taken_for_answers(hypercorn: int) -> None:
    found = drive(load(hypercorn, method="POST", body="eHh4" * 700, seconds=1.05))
    totals = found.whole
    assert totals.requests > 10 and not totals.failures
    if sys.platform == "linux":
        # The first second has what h2load read of its libraries.
        assert sum(one.bytes_received for one in found.slices[1:]) < 1_000 * totals.requests


def test_wrong_statuses_are_failures_and_a_wrong_body_shows_in_the_sum() -> None:
    def answer(request: Request) -> Answer:
        return [ok(BODY, status="500 Oops") if request.number % 5 == 0 else ok(BODY)]

    with serving(answer) as server:
        totals = drive(load(server.port, seconds=1.05)).whole
        assert totals.failures.keys() == {"bad_status"}
        assert totals.failures["bad_status"] == pytest.approx(len(server.requests) / 5, abs=10)

    def wrong(request: Request) -> Answer:
        return [ok(BODY[:-1] if request.number == 20 else BODY)]

    with serving(wrong) as server:
        found = drive(load(server.port, seconds=1.05))
        assert "bytes in all, and right ones have" in found.failure


def test_a_server_that_ends_connections_and_one_that_is_not_there_fail_the_run() -> None:
    def rude(request: Request) -> Answer:
        return [ok(BODY), None] if request.number in range(50, 54) else [ok(BODY)]

    with serving(rude) as server:
        found = drive(load(server.port, seconds=1.05))
    assert "has 4 of its 8 connections left" in found.failure
    found = drive(load(free_port(), seconds=1.05))
    assert "has 0 of its 8 connections left" in found.failure


def test_a_server_that_speaks_no_http_2_fails_the_run() -> None:
    with serving(lambda request: [ok(BODY)]) as server:
        found = drive(load(server.port, protocol="h2", seconds=1.05))
    assert "has 0 of its 8 connections left" in found.failure


def test_an_h2load_that_is_not_there_is_told() -> None:
    found = drive(load(free_port(), seconds=1.05), ASGIBENCH_H2LOAD="/nowhere/h2load")
    assert "/nowhere/h2load" in found.failure


def test_when_the_load_worker_goes_h2load_goes_too(hypercorn: int) -> None:
    with driver() as (process, channel):
        for order in (SetUpRun("r", load(hypercorn, seconds=None), "w", 0, 1), SetConnections(2)):
            channel.sendall(encode_tagged(ORDERS, "do", order))
        until(lambda: bool(children_of(process.pid)))
        children = children_of(process.pid)
        channel.shutdown(socket.SHUT_RDWR)
        process.wait(10)
        until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in children))


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid), "h2load"], capture_output=True, text=True)
    return [int(word) for word in listed.stdout.split()]
