"""The engine over WebSocket against a real server, which does what wsproto makes of its orders."""

from __future__ import annotations

import base64
import hashlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
)

from bench.wire.slices import Totals
from loadgen.onhost.engine.websocket import WEBSOCKET
from tests.helpers.driven_engine import Driven, spec

MESSAGE = b"\x00a message\xff" * 50
EXPECT = {
    "status": 101,
    "length": len(MESSAGE),
    "body_sha256": [hashlib.sha256(MESSAGE).hexdigest()],
}
Reply = Callable[[int, bytes], list[Event]]
"""What a server says to its message of that number, over all its connections."""


class Sockets(socketserver.ThreadingTCPServer):
    """Echoes as ``reply`` says. ``pongs`` and ``closed`` are what clients sent besides."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, reply: Reply, *, refuses: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.reply, self.refuses = reply, refuses
        self.messages = self.pongs = 0
        self.closed: list[int] = []
        self.lock = threading.Lock()


class Talk(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        peer: socket.socket = self.request
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol = WSConnection(ConnectionType.SERVER)
        try:
            while data := peer.recv(1 << 16):
                protocol.receive_data(data)
                for event in protocol.events():
                    for said in self.answers(event):
                        peer.sendall(protocol.send(said))
                        if isinstance(said, CloseConnection | RejectConnection):
                            return
        except OSError:
            return

    def answers(self, event: Event) -> list[Event]:
        server = self.server
        assert isinstance(server, Sockets)
        with server.lock:
            if isinstance(event, Request):
                assert event.extensions == []
                return [RejectConnection(status_code=403)] if server.refuses else [AcceptConnection()]
            if isinstance(event, BytesMessage):
                server.messages += 1
                return server.reply(server.messages, bytes(event.data))
            server.pongs += isinstance(event, Pong)
            if isinstance(event, CloseConnection):
                server.closed.append(event.code)
        return []


@contextmanager
def sockets(reply: Reply, **options: Any) -> Iterator[Sockets]:
    with Sockets(reply, **options) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


def driven_by(server: Sockets, connections: int = 3, **changes: Any) -> tuple[Totals, Driven]:
    """Until the first slice is over."""
    load = spec(
        server.server_address[1],
        protocol="websocket",
        body=base64.b64encode(MESSAGE).decode(),
        expect=EXPECT,
        hash_sample_every=1,
        **changes,
    )
    driven = Driven(load, protocol=WEBSOCKET)
    driven.on_slice = lambda slice_: driven.run.stop()
    return driven.drive(connections), driven


def echo(number: int, data: bytes) -> list[Event]:
    return [BytesMessage(data)]


def test_round_trips_are_counted_checked_and_the_connections_closed_in_order() -> None:
    with sockets(echo) as server:
        totals, driven = driven_by(server)
    assert (totals.failures, totals.connects, totals.reconnects) == ({}, 3, 0)
    assert totals.requests == totals.sent == server.messages == totals.bodies_checked > 100
    assert driven.run._state.recogniser.whole is not None, "the hot loop knows the echo by its bytes"
    assert server.closed == [1000] * 3


def test_pings_are_answered_and_no_message_is_lost_by_them() -> None:
    def with_pings(number: int, data: bytes) -> list[Event]:
        said: list[Event] = [BytesMessage(data)]
        if number % 5 == 0:
            said.insert(0, Ping(b"before"))
        if number % 7 == 0:
            said.append(Ping(b"after"))
        return said

    with sockets(with_pings) as server:
        totals, _ = driven_by(server)
    assert totals.failures == {} and totals.reconnects == 0
    assert totals.requests == server.messages > 100
    assert server.pongs > 20


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("bad_body", [BytesMessage(MESSAGE[:-1] + b"x")]),
        ("bad_length", [BytesMessage(MESSAGE + b"x")]),
        ("closed_early", [CloseConnection(1011)]),
        ("bad_framing", [BytesMessage(MESSAGE), BytesMessage(MESSAGE)]),
    ],
)
def test_what_is_no_echo_fails_by_its_kind(kind: str, wrong: list[Event]) -> None:
    with sockets(lambda number, data: wrong if number % 10 == 0 else echo(number, data)) as server:
        totals, _ = driven_by(server)
    assert set(totals.failures) == {kind}
    assert totals.requests > totals.failures[kind] > 0
    assert totals.sent == totals.completed + totals.in_flight_at_stop


def test_a_server_that_refuses_the_opening_is_told_by_its_status() -> None:
    with sockets(echo, refuses=True) as server:
        totals, _ = driven_by(server)
    assert set(totals.failures) == {"bad_status"}
    assert (totals.requests, totals.sent, totals.connects, server.messages) == (0, 0, 0, 0)


def test_an_open_loop_keeps_its_rate_and_answers_pings_while_it_has_nothing_to_send() -> None:
    """40 messages a second over ten connections: most of them idle, each pinged after its echo."""
    with sockets(lambda number, data: [BytesMessage(data), Ping(b"idle?")]) as server:
        totals, _ = driven_by(server, 10, mode="open", rate_per_second=40, max_backlog=100)
    assert (totals.failures, totals.connects, totals.reconnects) == ({}, 10, 0)
    assert 30 <= totals.requests <= 45
    assert totals.requests - 10 <= server.pongs <= totals.requests, (
        "a connection's last ping may meet its end"
    )
