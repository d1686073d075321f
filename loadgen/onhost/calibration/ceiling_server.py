"""A fast HTTP/1.1 server of constant bodies: something that answers sooner than any server under test.

Contract: ``python -m loadgen.onhost.calibration.ceiling_server --root FOLDER --port N`` serves every file
below FOLDER on 127.0.0.1:N, ``FOLDER/api/shortbody`` as ``/api/shortbody``, read once at the start. GET
with content-length and keep-alive; 404 for other paths; 405 for other methods and 431 for a head over 64 kB,
both with the connection's end. One thread, until SIGTERM.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Mapping
from pathlib import Path

from loadgen.onhost.engine.poll import READ, WRITE, Poller, SelectorPoller, make_poller

RECEIVE_BYTES = 65_536
HEAD_LIMIT_BYTES = 65_536
BACKLOG = 4_096
KNOWN_LIMIT = 4_096
"""So many distinct requests are recognised by their bytes: a rotation of 1,000 tokens fits."""
END_OF_HEAD = b"\r\n\r\n"


class AcceptedConnection:
    """One client: what it has sent that isn't answered, and what it hasn't taken yet."""

    __slots__ = ("closing", "received", "socket", "unsent")

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.received = b""
        self.unsent: memoryview | None = None
        self.closing = False


class CeilingServer:
    """The loop over all connections."""

    def __init__(self, listener: socket.socket, answers: Mapping[bytes, bytes], poller: Poller) -> None:
        self._listener = listener
        self._answers = answers
        self._poller = poller
        self._connections: dict[int, AcceptedConnection] = {}
        self._known: dict[bytes, bytes] = {}

    def serve(self) -> None:
        listener = self._listener.fileno()
        self._poller.register(listener, READ)
        while True:
            for fd, _ in self._poller.poll():
                if fd == listener:
                    self._accept()
                else:
                    self._advance(self._connections[fd])

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[accepted.fileno()] = AcceptedConnection(accepted)
            self._poller.register(accepted.fileno(), READ)

    def _advance(self, connection: AcceptedConnection) -> None:
        try:
            if connection.unsent is not None:
                self._flush(connection, connection.unsent)
            else:
                self._receive(connection)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)

    def _receive(self, connection: AcceptedConnection) -> None:
        data = connection.socket.recv(RECEIVE_BYTES)
        if not data:
            self._drop(connection)
            return
        answer = None if connection.received else self._known.get(data)
        if answer is not None:
            self._send(connection, answer)
            return
        connection.received += data
        self._answer_received(connection)

    def _answer_received(self, connection: AcceptedConnection) -> None:
        """Answer whole requests, one after the other, until the client has to take some first."""
        while connection.unsent is None and not connection.closing:
            head, end, rest = connection.received.partition(END_OF_HEAD)
            if not end:
                if len(head) > HEAD_LIMIT_BYTES:
                    connection.closing = True
                    self._send(connection, response(431, b""))
                break
            connection.received = rest
            answer, connection.closing = self._answer_to(head)
            if not rest and not connection.closing and len(self._known) < KNOWN_LIMIT:
                self._known[head + end] = answer
            self._send(connection, answer)
        if connection.closing and connection.unsent is None:
            self._drop(connection)

    def _answer_to(self, head: bytes) -> tuple[bytes, bool]:
        """(the response, whether the connection ends with it)."""
        request, _, headers = head.partition(b"\r\n")
        method, _, target = request.partition(b" ")
        path, _, version = target.partition(b" ")
        if method != b"GET":
            return response(405, b""), True
        closes = b"\nconnection: close" in b"\n" + headers.lower() or version != b"HTTP/1.1"
        return self._answers.get(path) or response(404, b""), closes

    def _send(self, connection: AcceptedConnection, answer: bytes) -> None:
        try:
            sent = connection.socket.send(answer)
        except BlockingIOError:
            sent = 0
        if sent < len(answer):
            connection.unsent = memoryview(answer)[sent:]
            self._poller.modify(connection.socket.fileno(), WRITE)

    def _flush(self, connection: AcceptedConnection, unsent: memoryview) -> None:
        sent = connection.socket.send(unsent)
        if sent < len(unsent):
            connection.unsent = unsent[sent:]
            return
        connection.unsent = None
        self._poller.modify(connection.socket.fileno(), READ)
        self._answer_received(connection)

    def _drop(self, connection: AcceptedConnection) -> None:
        fd = connection.socket.fileno()
        self._poller.unregister(fd)
        del self._connections[fd]
        connection.socket.close()


def response(status: int, body: bytes) -> bytes:
    kind = b"application/json" if body.startswith(b"{") else b"text/plain; charset=utf-8"
    head = b"HTTP/1.1 %d -\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (status, kind, len(body))
    return head + body


def answers_below(root: Path) -> dict[bytes, bytes]:
    """{path: whole response} for every file."""
    return {
        f"/{file.relative_to(root).as_posix()}".encode(): response(200, file.read_bytes())
        for file in sorted(root.rglob("*"))
        if file.is_file()
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--any-selector", action="store_true", help="not epoll, but what other systems use")
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", options.port), backlog=BACKLOG) as listener:
        listener.setblocking(False)
        poller = SelectorPoller() if options.any_selector else make_poller()
        CeilingServer(listener, answers_below(options.root), poller).serve()


if __name__ == "__main__":
    main()
