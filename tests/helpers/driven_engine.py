"""A real HTTP server that does what its script says, and the engine's run that loads it."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from bench.wire.codec import from_plain
from bench.wire.engine import SetUpRun
from bench.wire.histogram import Histogram
from bench.wire.load import LoadSpec
from bench.wire.slices import Slice, Totals
from loadgen.onhost.engine.exchange import LoadProtocol
from loadgen.onhost.engine.http1 import HTTP1
from loadgen.onhost.engine.poll import READ, Poller, Watched, make_poller
from loadgen.onhost.engine.run import Run

BODY = b"hello, world"
SECOND = 1_000_000_000

# What a server does with one request: send these pieces, and then close if the last one is None.
Answer = list[bytes | None]
Script = Callable[["Request"], Answer]


class Request:
    """One request as it arrived. ``number`` counts over all connections, from 0."""

    def __init__(self, number: int, head: str, body: bytes) -> None:
        self.number = number
        self.line, *lines = head.split("\r\n")
        self.headers = {
            name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)
        }
        self.body = body


class Server:
    """A real HTTP server that does what its script says, in a thread for each connection."""

    def __init__(self, script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.opened = 0
        self.open_now = 0
        self.open_most = 0
        self._script, self._tls = script, tls
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=2048)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(10)
        self._listener.close()
        with self._lock:
            for sock in self._sockets:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):  # what the shutdown makes of accept
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                thread = threading.Thread(target=self._serve, args=(sock,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with self._lock:
            self.opened += 1
            self.open_now += 1
            self.open_most = max(self.open_most, self.open_now)
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with self._lock:
                self._sockets.add(sock)
            with sock.makefile("rb") as stream:
                self._talk(sock, stream)
        except OSError:
            pass  # the client has gone, or the server is closed
        finally:
            with self._lock:
                self._sockets.discard(sock)
                self.open_now -= 1
            sock.close()

    def _talk(self, sock: socket.socket, stream: BinaryIO) -> None:
        while head := _read_head(stream):
            length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
            body = stream.read(int(length[1])) if length else b""
            with self._lock:
                request = Request(len(self.requests), head, body)
                self.requests.append(request)
            for piece in self._script(request):
                if piece is None:
                    return
                sock.sendall(piece)


def _read_head(stream: BinaryIO) -> str:
    lines = []
    while (line := stream.readline()) not in (b"", b"\r\n"):
        lines.append(line)
    return b"".join(lines).decode("latin-1") if line else ""


@contextmanager
def serving(script: Script, **options: Any) -> Iterator[Server]:
    server = Server(script, **options)
    try:
        yield server
    finally:
        server.close()


def ok(body: bytes = BODY, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def spec(port: int, **changes: Any) -> dict[str, Any]:
    expect = {"status": 200, "length": len(BODY), "body_sha256": [hashlib.sha256(BODY).hexdigest()]}
    basis = {"host": "127.0.0.1", "port": port, "path": "/", "expect": expect, "hash_sample_every": 3}
    return {**basis, "epoch": time.monotonic(), "timeout_seconds": 5, **changes}


class Bell(Watched):
    """Calls back, in the run's thread, with each byte that was written to the other end of its socket."""

    def __init__(self, sock: socket.socket, rung: Callable[[bytes], None]) -> None:
        super().__init__()
        self._socket, self._rung = sock, rung

    def on_event(self, mask: int) -> None:
        for byte in self._socket.recv(4096):
            self._rung(bytes([byte]))


class Driven:
    """A run and its outcome. ``wake`` may be called from any thread: ``on_wake`` is called in the run's.

    ``on_slice`` is called with each slice, after the batch that ended it, as the channel's orders are.
    """

    def __init__(
        self,
        load: dict[str, Any],
        *,
        poller: Poller | None = None,
        workers: int = 1,
        index: int = 0,
        protocol: LoadProtocol = HTTP1,
    ) -> None:
        self.slices: list[Slice] = []
        self._poller = make_poller() if poller is None else poller
        watched: dict[int, Watched] = {}
        order = SetUpRun("r", from_plain(LoadSpec, load), "w", index, workers)
        self.run = Run(order, self._poller, watched, self._emit, protocol)
        self._ours, theirs = socket.socketpair()
        self._theirs = theirs
        self.on_wake: Callable[[], None] = self.run.stop
        self.on_slice: Callable[[Slice], None] = lambda slice_: None
        self._unseen: deque[Slice] = deque()
        watched[theirs.fileno()] = Bell(theirs, self._answer)
        self._poller.register(theirs.fileno(), READ)

    def _emit(self, slice_: Slice) -> None:
        self.slices.append(slice_)
        self._unseen.append(slice_)
        self._ours.send(b"s")

    def _answer(self, byte: bytes) -> None:
        if byte == b"s":
            self.on_slice(self._unseen.popleft())
        else:
            self.on_wake()

    def wake(self) -> None:
        self._ours.send(b"x")

    def drive(self, connections: int) -> Totals:
        """Returns the totals, after they have been compared with the slices."""
        guard = threading.Timer(30, self.wake)
        guard.start()
        try:
            self.run.set_connections(connections)
            self.run.serve()
        finally:
            guard.cancel()
            self._ours.close()
            self._theirs.close()
        totals = self.run.totals()
        for name in ("requests", "bytes_received", "connects", "reconnects", "backlog_dropped"):
            assert getattr(totals, name) == sum(getattr(one, name) for one in self.slices), name
        for name in ("histogram", "failure_histogram", "send_lag", "service_histogram"):
            merged = Histogram.from_pairs(pair for one in self.slices for pair in getattr(one, name))
            assert getattr(totals, name) == merged.to_pairs(), name
        assert Histogram.from_pairs(totals.histogram).count == totals.requests
        assert Histogram.from_pairs(totals.failure_histogram).count == sum(totals.failures.values())
        assert totals.completed == totals.requests + sum(totals.failures.values())
        return totals


def drive(
    script: Script,
    requests: int,
    connections: int = 4,
    *,
    server: dict[str, Any] | None = None,
    **changes: Any,
) -> tuple[Totals, Server]:
    """Load a scripted server until it has had so many requests; returns totals and server."""

    def counted(request: Request) -> Answer:
        if request.number == requests - 1:
            driven.wake()
        return script(request)

    with serving(counted, **(server or {})) as running:
        driven = Driven(spec(running.port, **changes))
        return driven.drive(connections), running


def assert_all_good(totals: Totals, server: Server) -> None:
    assert totals.failures == {}
    assert totals.in_flight_at_stop == 0
    assert totals.requests == totals.completed == totals.sent == len(server.requests)


def engine_midpoint(index: int) -> float:
    return Histogram({index: 1}).mean
