"""The engine against real servers on loopback: what it counts is what they served."""

from __future__ import annotations

import base64
import hashlib
import json
import selectors
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.wire.codec import from_plain
from bench.wire.histogram import Histogram
from bench.wire.load import LoadSpec
from bench.wire.slices import Slice
from loadgen.onhost.engine import run as engine_run
from loadgen.onhost.engine.arrivals import due_times
from loadgen.onhost.engine.exchange import Digest, FramingError, LoadProtocol
from loadgen.onhost.engine.load import EngineError
from loadgen.onhost.engine.poll import BusyPoll, SelectorPoller
from tests.helpers.driven_engine import (
    BODY,
    SECOND,
    Answer,
    Driven,
    Request,
    assert_all_good,
    drive,
    engine_midpoint,
    ok,
    serving,
    spec,
)
from tests.helpers.program import ROOT

pytestmark = pytest.mark.alone

# What is counted is what was served


def test_every_request_is_counted_once_on_both_sides() -> None:
    totals, server = drive(lambda request: [ok()], 2_000)
    assert_all_good(totals, server)
    assert totals.bytes_received == len(server.requests) * len(ok())
    assert (totals.connects, totals.reconnects, server.opened) == (4, 0, 4)
    assert server.requests[0].headers["host"].startswith("127.0.0.1:")


def test_the_portable_poller_does_the_same() -> None:
    with serving(lambda request: [ok()]) as server:
        driven = Driven(spec(server.port), poller=SelectorPoller(selectors.PollSelector()))
        driven.on_slice = lambda slice_: driven.run.stop() if len(server.requests) > 100 else None
        assert_all_good(driven.drive(3), server)


class Moments:
    """A poller's answers at given moments of a clock that only polling moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ready_at: int | None = None) -> None:
        self.now, self.ready_at, self.slept = 0, ready_at, 0
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self.now)

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        self.now += 1_000
        if timeout:
            self.slept += 1
            return []
        return [(7, 1)] if self.ready_at is not None and self.now >= self.ready_at else []


def test_an_answer_that_comes_at_once_is_found_without_a_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = Moments(monkeypatch, ready_at=5_000)
    busy = BusyPoll(sockets.poll)
    assert busy.wait(1) == [(7, 1)]
    assert (sockets.now, sockets.slept, busy.nanoseconds) == (5_000, 0, 5_000)


def test_busy_polling_that_does_not_pay_is_given_up_and_tried_again_ever_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sockets = Moments(monkeypatch)
    busy = BusyPoll(sockets.poll)
    looks = []
    for wait in range(300):
        before = busy.nanoseconds
        assert busy.wait(1) == []
        if busy.nanoseconds > before:
            assert busy.nanoseconds - before == 20_000
            looks.append(wait)
    assert sockets.slept == 300
    assert looks == [0, 2, 6, 14, 30, 62, 126, 190, 254]
    sockets.ready_at = 0
    while busy.wait(1) == []:
        pass
    assert busy.wait(1) == [(7, 1)], "once it pays, the next wait looks again"


def test_a_server_that_takes_its_time_is_waited_for_asleep() -> None:
    def slow(request: Request) -> Answer:
        time.sleep(0.005)
        return [ok()]

    totals, server = drive(slow, 400)
    assert_all_good(totals, server)
    # 400 waits at most, one in 64 of them for 20 microseconds, after the first six.
    assert 0 < totals.engine_busy_poll_seconds < 0.002


def test_without_the_kernels_truncation_large_bodies_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    body = bytes(range(256)) * 2_000
    expect = {"status": 200, "length": len(body), "body_sha256": [hashlib.sha256(body).hexdigest()]}
    for flags in (engine_run._TRUNCATE, 0):
        monkeypatch.setattr(engine_run, "_TRUNCATE", flags)
        totals, server = drive(lambda request: [ok(body)], 200, expect=expect, hash_sample_every=7)
        assert_all_good(totals, server)
        assert totals.bytes_received == len(server.requests) * len(ok(body))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([ok()[:20], ok()[20:50], ok()[50:]], id="in pieces"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n", ok()], id="interim"),
        pytest.param(
            [
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                b"7\r\n, world\r\n0\r\n\r\n",
            ],
            id="chunked",
        ),
    ],
)
def test_ordinary_answers_of_every_shape_keep_the_connection(answer: Answer) -> None:
    totals, server = drive(lambda request: answer, 300)
    assert_all_good(totals, server)
    assert server.opened == 4


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([ok(BODY, "Connection: close"), None], id="announced"),
        pytest.param([b"HTTP/1.1 200 OK\r\n\r\n" + BODY, None], id="close-delimited"),
        pytest.param([ok().replace(b"HTTP/1.1", b"HTTP/1.0"), None], id="HTTP/1.0"),
    ],
)
def test_a_close_that_was_announced_is_a_reconnect_and_no_failure(answer: Answer) -> None:
    totals, server = drive(lambda request: answer, 300)
    assert_all_good(totals, server)
    assert totals.reconnects == totals.connects - 4 > 0
    assert totals.connects <= server.opened <= totals.connects + 4  # those it was making at the stop


def test_without_keep_alive_each_request_has_its_connection_and_asks_for_it() -> None:
    totals, server = drive(lambda request: [ok(BODY, "Connection: close"), None], 200, keep_alive=False)
    assert_all_good(totals, server)
    assert totals.connects == len(server.requests) <= server.opened <= len(server.requests) + 4
    assert totals.reconnects == 0
    assert {request.headers["connection"] for request in server.requests} == {"close"}


def test_an_answer_to_head_has_a_length_and_no_body() -> None:
    expect: dict[str, Any] = {"status": 200, "length": None, "body_sha256": []}
    totals, server = drive(
        lambda request: [ok(b"", "X: y").replace(b"h: 0", b"h: 9")], 100, method="HEAD", expect=expect
    )
    assert_all_good(totals, server)
    assert server.opened == 4


def test_a_body_too_large_for_the_sockets_buffer_arrives_whole() -> None:
    sent = bytes(range(256)) * 32_000
    totals, server = drive(
        lambda request: [ok()],
        6,
        2,
        method="POST",
        body=base64.b64encode(sent).decode(),
        headers={"X-A": "b"},
    )
    assert_all_good(totals, server)
    assert all(request.body == sent for request in server.requests)
    assert server.requests[0].line == "POST / HTTP/1.1"
    assert server.requests[0].headers["x-a"] == "b"


def test_ipv6() -> None:
    totals, server = drive(lambda request: [ok()], 50, server={"host": "::1"}, host="::1")
    assert_all_good(totals, server)
    assert server.requests[0].headers["host"] == f"[::1]:{server.port}"


def test_values_are_sent_in_rotation_and_each_is_held_to_its_own_body() -> None:
    values = [f"token{number}" for number in range(7)]
    hashes = [hashlib.sha256(f"body of {value}".encode()).hexdigest() for value in values]

    def answer(request: Request) -> Answer:
        return [ok(f"body of {request.headers['authorization'].removeprefix('Bearer ')}".encode())]

    rotate = {"header": "Authorization", "prefix": "Bearer ", "values": values}
    expect = {"status": 200, "length": None, "body_sha256": hashes}
    totals, server = drive(answer, 700, rotate=rotate, expect=expect, hash_sample_every=1)
    assert_all_good(totals, server)
    used = Counter(request.headers["authorization"] for request in server.requests)
    assert set(used) == {f"Bearer {value}" for value in values}
    assert max(used.values()) - min(used.values()) <= 1


def test_workers_begin_at_their_share_of_the_rotation() -> None:
    rotate = {"header": "X", "prefix": "", "values": [str(number) for number in range(10)]}
    with serving(lambda request: [ok()]) as server:
        driven = Driven(spec(server.port, rotate=rotate), workers=2, index=1)
        driven.on_slice = lambda slice_: driven.run.stop()
        driven.drive(1)
    assert [request.headers["x"] for request in server.requests[:11]] == [*"56789", *"012345"]


# Failures, by kind


def test_each_failure_is_counted_by_its_kind_and_the_run_goes_on() -> None:
    answers: dict[int, Answer] = {
        10: [ok(status="500 Oops")],
        20: [ok(b"short")],
        30: [ok(BODY.upper())],
        40: [b"nonsense\r\n\r\n", None],
        50: [ok()[:-3], None],
        60: [None],
        70: [ok() + b"surplus"],
        80: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", None],
        90: [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", None],
    }
    totals, server = drive(lambda request: answers.get(request.number, [ok()]), 4_000, 2, hash_sample_every=1)
    assert totals.failures == {
        "bad_status": 1,
        "bad_length": 1,
        "bad_body": 1,
        "bad_framing": 4,
        "closed_early": 2,
    }
    assert totals.requests == len(server.requests) - 9
    assert totals.reconnects == totals.connects - 2 == 6


def test_a_wrong_body_of_the_right_length_is_found_at_once_when_small() -> None:
    answers: dict[int, Answer] = {150: [ok(BODY.upper())]}
    totals, _ = drive(lambda request: answers.get(request.number, [ok()]), 300, hash_sample_every=1_000_000)
    assert totals.failures == {}, "the head is known and the body not sampled"
    totals, _ = drive(lambda request: answers.get(request.number, [ok()]), 300, hash_sample_every=1)
    assert totals.failures == {"bad_body": 1}


def test_a_reset_is_counted_as_one() -> None:
    with serving(lambda request: [ok()]) as server, socket.create_server(("127.0.0.1", 0)) as resetting:
        driven = Driven(spec(resetting.getsockname()[1]))

        def accept() -> None:
            connection, _ = resetting.accept()
            connection.recv(10)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
            driven.wake()

        thread = threading.Thread(target=accept)
        thread.start()
        totals = driven.drive(1)
        thread.join()
    assert totals.failures == {"reset": 1}
    assert server.requests == []


def test_a_closed_port_is_refused_at_a_bounded_rate() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    driven = Driven(spec(port))
    driven.on_slice = lambda slice_: driven.run.stop()
    totals = driven.drive(3)
    assert set(totals.failures) == {"refused"}
    assert 3 <= totals.failures["refused"] <= 3 * 12
    assert (totals.sent, totals.connects) == (0, 0)


def test_a_server_that_does_not_answer_costs_each_request_its_timeout() -> None:
    def silence(request: Request) -> Answer:
        return [] if request.number % 10 == 5 else [ok()]

    totals, server = drive(silence, 100, 3, timeout_seconds=0.2)
    timeouts = totals.failures.pop("timeout")
    assert totals.failures == {}
    assert timeouts + totals.in_flight_at_stop == sum(request.number % 10 == 5 for request in server.requests)
    waited = Histogram.from_pairs(totals.failure_histogram)
    assert 0.2 * SECOND * 0.999 <= waited.quantile(0) <= waited.maximum < 2 * SECOND


def test_requests_in_flight_at_the_stop_are_told() -> None:
    totals, server = drive(lambda request: [ok()] if request.number < 10 else [], 12, 2)
    assert totals.in_flight_at_stop == 2
    assert totals.sent == len(server.requests) == totals.completed + 2


def test_a_connection_that_ends_unannounced_fails_what_was_sent_on_it() -> None:
    totals, server = drive(lambda request: [ok(), None] if request.number % 50 == 49 else [ok()], 500)
    assert set(totals.failures) <= {"closed_early", "reset"}
    assert totals.reconnects == totals.connects - 4
    assert 0 < totals.reconnects <= sum(totals.failures.values()) <= totals.reconnects + 4
    assert totals.requests == len(server.requests)


WHOLE, BROKEN = (
    [ok(), ok(BODY, "Date: now"), ok(BODY, "X: " + "y" * 5_000)],
    [b"HTTP/1.1 200 OK\r\n:\r\n\r\n"],
)
pieces = st.tuples(
    st.sampled_from([*WHOLE, *BROKEN, ok(status="404 No"), ok(b"other"), ok() + b"!"]),
    st.lists(st.integers(1, 200), max_size=4),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(pieces, min_size=1, max_size=12), st.integers(1, 3))
def test_whatever_is_served_in_whatever_pieces_is_counted_right(script: list[Any], sample: int) -> None:
    """A script of answers over and over; the kind that each must be counted as follows from its bytes."""
    kinds = {**dict.fromkeys(WHOLE, ""), BROKEN[0]: "bad_framing", ok(status="404 No"): "bad_status"}
    kinds |= {ok(b"other"): "bad_length", ok() + b"!": "bad_framing"}

    def answer(request: Request) -> Answer:
        stream, cuts = script[request.number % len(script)]
        # An answer whose surplus came later would be a good one: no piece is the surplus alone.
        surplus = {len(stream) - 1} if stream.endswith(b"!") else set()
        edges = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)} - surplus)
        parts: Answer = [stream[start:end] for start, end in pairwise(edges)]
        return [*parts, None] if kinds[stream] == "bad_framing" else parts

    totals, server = drive(answer, 2 * len(script), 1, hash_sample_every=sample)
    expected = Counter(kinds[script[request.number % len(script)][0]] for request in server.requests)
    assert totals.requests == expected.pop("", 0)
    assert totals.failures == dict(expected)


# Changes, time, and the open loop


def test_the_number_of_connections_follows_what_it_is_set_to() -> None:
    with serving(lambda request: [ok()]) as server:
        driven = Driven(spec(server.port, epoch=time.monotonic() + 0.3))
        steps = iter([9, 2, 5])

        def next_step(slice_: Slice) -> None:
            if (count := next(steps, None)) is None:
                driven.run.stop()
            else:
                driven.run.set_connections(count)

        driven.on_slice = next_step
        totals = driven.drive(4)
        assert_all_good(totals, server)
    assert [slice_.connections for slice_ in driven.slices] == [4, 9, 2, 5, 0]
    assert server.opened == totals.connects == 4 + 5 + 3
    assert server.open_most <= 9


def test_slices_are_seconds_of_the_controllers_clock() -> None:
    offset = 3_600.0
    with serving(lambda request: [ok()]) as server:
        epoch = time.monotonic() + 0.5
        load = spec(server.port, epoch=epoch - offset, clock_offsets={"w": offset})
        driven = Driven(load)
        ended: list[float] = []

        def note(slice_: Slice) -> None:
            ended.append(time.monotonic() - epoch)
            if slice_.k == 1:
                driven.run.stop()

        driven.on_slice = note
        driven.drive(2)
    assert [slice_.k for slice_ in driven.slices] == [-1, 0, 1, 2]
    assert ended[:3] == pytest.approx([0, 1, 2], abs=0.3)
    assert all(slice_.requests > 0 for slice_ in driven.slices[:3])


def test_an_open_load_keeps_its_rate_and_tells_lag_and_service_apart() -> None:
    with serving(lambda request: [ok()]) as server:
        load = spec(server.port, mode="open", rate_per_second=500, arrivals="constant", max_backlog=100)
        driven = Driven(load)
        begun_at = time.perf_counter()
        elapsed_seconds: list[float] = []

        def stop(slice_: Slice) -> None:
            if slice_.k == 1:
                driven.run.stop()
                elapsed_seconds.append(time.perf_counter() - begun_at)

        driven.on_slice = stop
        totals = driven.drive(5)
    assert_all_good(totals, server)
    assert totals.sent == pytest.approx(500 * elapsed_seconds[0], abs=10)
    assert Histogram.from_pairs(totals.send_lag).count == totals.sent
    assert Histogram.from_pairs(totals.service_histogram).count == totals.requests
    assert totals.backlog_dropped == 0
    service = Histogram.from_pairs(totals.service_histogram).mean
    lag = Histogram.from_pairs(totals.send_lag).mean
    latency = Histogram.from_pairs(totals.histogram).mean
    assert latency == pytest.approx(service + lag, rel=0.01)


def test_in_open_loop_a_stall_is_felt_by_every_request_that_was_due_in_it() -> None:
    """The server stalls once for 0.5 s at 200/s on one connection: about 100 requests waited for it."""

    def answer(request: Request) -> Answer:
        if request.number == 50:
            time.sleep(0.5)
        return [ok()]

    load: dict[str, Any] = {
        "mode": "open",
        "rate_per_second": 200,
        "arrivals": "constant",
        "max_backlog": 1_000,
    }
    totals, server = drive(answer, 300, 1, **load)
    assert_all_good(totals, server)
    waited = Histogram.from_pairs(totals.histogram)
    late = sum(count for index, count in waited.counts.items() if engine_midpoint(index) > 0.05 * SECOND)
    assert late >= 80
    served = Histogram.from_pairs(totals.service_histogram)
    assert sum(count for index, count in served.counts.items() if engine_midpoint(index) > 0.25 * SECOND) <= 2
    assert totals.backlog_max >= 80


def test_a_full_backlog_drops_and_counts() -> None:
    load = {"mode": "open", "rate_per_second": 1_000, "arrivals": "constant", "max_backlog": 10}
    with serving(lambda request: []) as server:
        driven = Driven(spec(server.port, timeout_seconds=0.2, **load))
        driven.on_slice = lambda slice_: driven.run.stop()
        totals = driven.drive(1)
    assert totals.backlog_max == 10
    assert totals.backlog_dropped > 100
    assert totals.backlog_at_stop == 10
    assert set(totals.failures) == {"timeout"}
    assert len(server.requests) == totals.sent


def test_an_open_load_outlives_a_server_that_closes_idle_connections() -> None:
    load: dict[str, Any] = {
        "mode": "open",
        "rate_per_second": 100,
        "arrivals": "poisson",
        "seed": 3,
        "max_backlog": 100,
    }
    totals, server = drive(lambda request: [ok(BODY, "Connection: close"), None], 60, 4, **load)
    assert_all_good(totals, server)
    assert totals.reconnects > 0


def open_load(rate_per_second: float, *, poisson: bool = False, seed: int = 1) -> LoadSpec:
    arrivals = "poisson" if poisson else "constant"
    changes = {"mode": "open", "rate_per_second": rate_per_second, "arrivals": arrivals, "seed": seed}
    return from_plain(LoadSpec, spec(1, **changes))


@given(
    st.floats(0.5, 50_000),
    st.integers(1, 6),
    st.integers(-10 * SECOND, 10 * SECOND),
)
def test_constant_arrivals_of_all_workers_make_one_even_grid(rate: float, workers: int, begin: int) -> None:
    load = open_load(rate)
    lists = [list(islice(due_times(load, 0, begin, index, workers), 20)) for index in range(workers)]
    merged = sorted(due for dues in lists for due in dues)[: 20 * workers - workers]
    assert all(dues[0] >= begin - 1 for dues in lists)
    assert merged[0] <= begin + SECOND / rate + 1
    gaps = [second - first for first, second in pairwise(merged)]
    assert all(abs(gap - SECOND / rate) <= 2 for gap in gaps)


def test_poisson_arrivals_have_the_rate_and_the_spread_and_repeat_with_the_seed() -> None:
    dues = list(islice(due_times(open_load(1_000, poisson=True), 0, 0, 0, 2), 5_000))
    gaps = [second - first for first, second in pairwise(dues)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(2_000_000, rel=0.1)
    assert sum((gap - mean) ** 2 for gap in gaps) / len(gaps) == pytest.approx(mean**2, rel=0.2)
    assert dues == list(islice(due_times(open_load(1_000, poisson=True), 0, 0, 0, 2), 5_000))
    assert dues != list(islice(due_times(open_load(1_000, poisson=True), 0, 0, 1, 2), 5_000))
    assert dues != list(islice(due_times(open_load(1_000, poisson=True, seed=2), 0, 0, 0, 2), 5_000))


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "pair.pem"
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(path.with_name("key.pem"))]
    names = ["-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test"]
    command = ["openssl", "req", "-x509", *key, "-out", str(path), "-days", "2", *names]
    subprocess.run(command, check=True, capture_output=True)
    return path


def tls_server(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


@pytest.mark.parametrize("size", [len(BODY), 430_000])
@pytest.mark.parametrize("keep_alive", [True, False])
def test_tls(certificate: Path, size: int, keep_alive: bool) -> None:
    body = (BODY * 40_000)[:size]
    expect = {"status": 200, "length": size, "body_sha256": [hashlib.sha256(body).hexdigest()]}
    trust: dict[str, Any] = {"tls": True, "tls_ca_file": str(certificate), "server_name": "bench.test"}
    server = {"tls": tls_server(certificate)}
    answer: Answer = [ok(body)] if keep_alive else [ok(body, "Connection: close"), None]
    totals, running = drive(
        lambda request: answer,
        60,
        server=server,
        expect=expect,
        keep_alive=keep_alive,
        timeout_seconds=10,
        **trust,
    )
    assert_all_good(totals, running)
    assert totals.connects == (4 if keep_alive else len(running.requests))


def test_a_certificate_that_is_not_trusted_ends_the_run_with_the_remedy(certificate: Path) -> None:
    with serving(lambda request: [ok()], tls=tls_server(certificate)) as server:
        driven = Driven(spec(server.port, tls=True, server_name="bench.test"))
        with pytest.raises(EngineError, match="set tls_ca_file"):
            driven.drive(1)
        driven.run.abandon()


# Another protocol


class Echo:
    """The exchange of a protocol that has lines: an answer is one, and its body is all but the line feed."""

    def __init__(self) -> None:
        self.digest: Digest | None = None
        self.head, self.status, self.closes, self.counted = b"", 200, False, False
        self.reset()

    def reset(self) -> None:
        self.complete, self.body_length, self.digest = False, 0, None

    def feed(self, data: bytes) -> int:
        line, end, _ = data.partition(b"\n")
        if b"\0" in line:
            raise FramingError("no text")
        self.body_length += len(line)
        if self.digest is not None:
            self.digest.update(memoryview(line))
        self.complete = bool(end)
        return len(line) + len(end)

    def end(self) -> bool:
        return False


LINES = LoadProtocol("lines", lambda load: (load.path.encode() + b"\n",), lambda load: Echo())


class LineHandler(socketserver.StreamRequestHandler):
    """Echoes each line, one in a hundred as none of the protocol."""

    def handle(self) -> None:
        for number, line in enumerate(self.rfile, 1):
            self.wfile.write(b"\0\n" if number % 100 == 0 else line)


def test_a_protocol_of_another_kind_is_driven_counted_and_checked() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), LineHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            path = "a line to echo"
            expect = {"length": len(path), "body_sha256": [hashlib.sha256(path.encode()).hexdigest()]}
            load = spec(server.server_address[1], path=path, expect=expect, hash_sample_every=1)
            driven = Driven(load, protocol=LINES)
            driven.on_slice = lambda slice_: driven.run.stop()
            totals = driven.drive(3)
        finally:
            server.shutdown()
            thread.join(10)
    assert set(totals.failures) == {"bad_framing"}
    assert totals.requests >= 99 * (totals.failures["bad_framing"] - 3) > 0
    assert totals.sent == totals.completed + totals.in_flight_at_stop


# The process


class Process:
    """The engine as a load worker starts it, driven over its socketpair."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "loadgen.onhost.engine", "--control-fd", str(theirs.fileno())]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=ROOT)
        theirs.close()
        ours.settimeout(30)
        self.socket = ours
        self._lines = ours.makefile("r")

    def tell(self, **message: Any) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def hear(self, event: str) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(self._lines.readline())
            if message["event"] == event:
                return message

    def close(self) -> None:
        self._lines.close()
        self.socket.close()
        try:
            assert self.process.wait(10) == 0
        finally:
            self.process.kill()


@pytest.fixture
def process() -> Iterator[Process]:
    running = Process()
    yield running
    running.close()


def tell_run(process: Process, load: dict[str, Any]) -> None:
    process.tell(do="run", run="r", spec=load, worker="w", index=0, workers=1)


def test_the_process_does_run_after_run_and_ends_with_its_channel(process: Process) -> None:
    with serving(lambda request: [ok()]) as server:
        for _ in range(2):
            before = len(server.requests)
            tell_run(process, spec(server.port))
            process.tell(do="connections", connections=3)
            assert process.hear("connections")["connections"] == 3
            assert process.hear("slice")["slice"]["requests"] > 0
            process.tell(do="stop")
            totals = process.hear("totals")["totals"]
            assert totals["completed"] == totals["requests"] == len(server.requests) - before
        tell_run(process, spec(server.port))
        process.tell(do="connections", connections=3)
        process.hear("slice")
        process.close()
    assert process.process.returncode == 0


def test_a_run_that_cannot_be_is_told_and_the_next_one_can(process: Process) -> None:
    broken = [
        (spec(1, host="nowhere.invalid"), "can't be resolved"),
        ({**spec(1), "rotate": {"header": "X", "values": []}}, "rotate.values is empty"),
        ({"host": "127.0.0.1"}, "SetUpRun.spec.port is missing"),
        (spec(1, headers={"X": "a\r\nb"}), "line breaks"),
        (spec(1, mode="open", rate_per_second=None), "rate_per_second"),
        (spec(1, tls=True, tls_ca_file="/nowhere"), "CA file"),
    ]
    for load, said in broken:
        tell_run(process, load)
        assert said in process.hear("failed")["message"]
    with serving(lambda request: [ok()]) as server:
        tell_run(process, spec(server.port))
        process.tell(do="connections", connections=1)
        assert process.hear("slice")["slice"]["failures"] == {}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_thousand_connections_take_little_memory_and_no_more_with_time(process: Process) -> None:
    def resident_bytes() -> int:
        pages = Path(f"/proc/{process.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4_096

    with serving(lambda request: [ok()]) as server:
        tell_run(process, spec(server.port, timeout_seconds=30))
        process.tell(do="connections", connections=1_000)
        for _ in range(3):
            process.hear("slice")
        first = resident_bytes()
        for _ in range(3):
            process.hear("slice")
        assert resident_bytes() < first + 1_000_000
        assert resident_bytes() < 60_000_000
        process.tell(do="stop")
        assert process.hear("totals")["totals"]["failures"] == {}
