"""An HTTP server that is wrong on purpose: what the conformance probes must catch. It has an app of its own.

``REFUSES`` answers all but control requests with 400; ``LENIENT`` takes what Python's own conversions take,
goes by Content-Length where there is Transfer-Encoding too, hands trailers on as headers, never closes.
"""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.wire.codec import encode_line
from bench.wire.conformance import RequestSeen, SeenRequests

REFUSES = "refuses"
LENIENT = "lenient"
SEEN = b"GET /proving/seen?"
IDLE_SECONDS = 20
LARGEST = 0xFFFF  # an integer of so many bits, which others wrap around


@dataclass
class Witness:
    """What was given to the app, by the client's port."""

    manner: str
    seen: dict[int, list[RequestSeen]] = field(default_factory=dict)


class _Ended(Exception):
    """The client has sent no more."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def setup(self) -> None:
        self.left = b""
        self.request.settimeout(IDLE_SECONDS)

    def handle(self) -> None:
        try:
            while self._one():
                pass
        except (_Ended, OSError):
            pass

    def _more(self) -> None:
        data = self.request.recv(1 << 16)
        if not data:
            raise _Ended
        self.left += data

    def _line(self) -> bytes:
        while (found := re.search(rb"\r\n|\n|\r(?!\n)", self.left)) is None or found.end() == len(
            self.left
        ) < 2:
            self._more()
        line, self.left = self.left[: found.start()], self.left[found.end() :]
        return line

    def _bytes(self, count: int) -> bytes:
        while len(self.left) < count:
            self._more()
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def _one(self) -> bool:
        if not self.left:
            self._more()
        witness = self.server.witness
        if self.left.startswith(SEEN):
            port = int(self._line().split(b"?")[1].split()[0])
            while self._line():
                pass
            self._send(200, encode_line(SeenRequests(tuple(witness.seen.pop(port, ())))))
            return True
        if witness.manner == REFUSES:
            self._send(400, b"no")
            return False
        words = self._line().split()
        fields = self._fields()
        body = self._body(fields)
        method, target = (*words, b"", b"")[:2]
        path, _, query = target.partition(b"?")
        kept = witness.seen.setdefault(self.client_address[1], [])
        if b"upgrade" in dict(fields):
            self.request.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        elif method:
            kept.append(_seen(method, path, query, fields, body))
            self._answer(method, path)
        return True

    def _fields(self) -> list[tuple[bytes, bytes]]:
        found = []
        while line := self._line():
            name, _, value = line.partition(b":")
            found.append((name.strip().lower(), value.strip(b" ")))
        return found

    def _body(self, fields: list[tuple[bytes, bytes]]) -> bytes:
        named = dict(fields)
        if b"expect" in named:
            self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if b"content-length" in named:
            return self._bytes(_number(named[b"content-length"], 10) & LARGEST)
        if b"chunked" not in named.get(b"transfer-encoding", b"").lower():
            return b""
        whole = b""
        while size := _number(self._line().split(b";")[0], 16):
            whole += self._bytes(size & LARGEST)
            self._line()
        fields += self._fields()
        return whole

    def _answer(self, method: bytes, path: bytes) -> None:
        if path == b"/answer/204":
            self.request.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
        elif path == b"/answer/too-long":
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshort and more")
        elif path == b"/answer/split":
            self._send(200, b"ok", b"X-One: 1\r\nX-Two: 2\r\n")
        elif path == b"/answer/without-length":
            chunks = b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
            self.request.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        else:
            self._send(200, method + b" " + path)

    def _send(self, status: int, body: bytes, more: bytes = b"") -> None:
        head = b"HTTP/1.1 %d OK\r\n%sContent-Length: %d\r\n\r\n" % (status, more, len(body))
        self.request.sendall(head + body)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    witness: Witness

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ended badly is what this server is for."""


def _number(text: bytes, base: int) -> int:
    try:
        return abs(int(text.decode("utf-8"), base or 10))
    except ValueError:
        return 0


def _seen(
    method: bytes, path: bytes, query: bytes, fields: list[tuple[bytes, bytes]], body: bytes
) -> RequestSeen:
    return RequestSeen(
        method.decode("latin-1").upper(),
        path.decode("latin-1"),
        query.decode("latin-1"),
        "1.1",
        tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields),
        body.decode("latin-1"),
        True,
        False,
    )


@contextmanager
def lenient_server(manner: str) -> Iterator[int]:
    """Its port."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.witness = Witness(manner)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
