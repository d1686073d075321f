"""Many connections of one client that only wait: opened in batches, watched, and closed."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Iterator

from bench.wire.slow_clients import Meanwhile, SlowOrder

BATCH = 100
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 10.0
NEW_CONNECTIONS = 20
READ_BYTES = 1 << 16


class NotServed(Exception):
    """Of a server that must answer; the text says what came instead."""


def connected(order: SlowOrder, *, receive_bytes: int | None = None) -> socket.socket:
    """``receive_bytes``: how much the system may hold for a client that does not read. Raises OSError."""
    family = socket.AF_INET6 if ":" in order.address else socket.AF_INET
    peer = socket.socket(family, socket.SOCK_STREAM)
    try:
        if receive_bytes is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        peer.settimeout(CONNECT_SECONDS)
        peer.connect((order.address, order.port))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        peer.close()
        raise
    return peer


def request(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: asgibench.test", *headers, "", ""]).encode()


def read_answer(peer: socket.socket, seconds: float = ANSWER_SECONDS) -> bytes:
    """One whole answer that has a Content-Length. Raises NotServed, OSError."""
    deadline = time.monotonic() + seconds
    received = b""
    while not is_whole(received):
        peer.settimeout(max(0.01, deadline - time.monotonic()))
        data = peer.recv(READ_BYTES)
        if not data:
            raise NotServed(f"it closed behind {received[:60]!r}")
        received += data
    return received


def is_whole(received: bytes) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return len(body) >= int(value)
    return False


def status_of(received: bytes) -> int:
    words = received.split(b" ", 2)
    return int(words[1]) if received.startswith(b"HTTP/1.") and len(words) > 1 and words[1].isdigit() else 0


def await_ready(order: SlowOrder) -> str:
    """ "" once the server answers; else what was wrong last."""
    deadline = time.monotonic() + order.ready_seconds
    problem = "nothing has answered yet"
    while time.monotonic() < deadline:
        try:
            with connected(order) as peer:
                peer.sendall(request("/"))
                if status_of(read_answer(peer)) == 200:
                    return ""
                problem = "it does not answer with 200"
        except (OSError, NotServed) as error:
            problem = str(error)
        time.sleep(0.02)
    return problem


def ask_meanwhile(order: SlowOrder, count: int = NEW_CONNECTIONS) -> Meanwhile:
    """So many new connections, one after the other, each with one request."""
    times: list[float] = []
    for _ in range(count):
        began = time.monotonic()
        with contextlib.suppress(OSError, NotServed), connected(order) as peer:
            peer.sendall(request("/"))
            if status_of(read_answer(peer, seconds=5.0)) == 200:
                times.append(time.monotonic() - began)
    return Meanwhile(count, len(times), max(times, default=None))


class Crowd:
    """``opening`` is what each sends first; ``awaits_answer``: and then reads one answer."""

    def __init__(self, order: SlowOrder, opening: bytes, *, awaits_answer: bool = False) -> None:
        self._order, self._opening, self._awaits_answer = order, opening, awaits_answer
        self.peers: list[socket.socket] = []
        self.problem = ""

    def open(self, count: int, may_go_on: Callable[[], str]) -> None:
        """Fewer where the system or ``may_go_on`` (asked between batches) says so: ``problem`` has why."""
        while len(self.peers) < count and not self.problem:
            batch: list[socket.socket] = []
            try:
                while len(batch) < BATCH and len(self.peers) + len(batch) < count:
                    batch.append(connected(self._order))
                for peer in batch:
                    peer.sendall(self._opening)
                for peer in batch if self._awaits_answer else ():
                    read_answer(peer)
            except (OSError, NotServed) as error:
                self.problem = f"{error} with {len(self.peers) + len(batch):,} connections open"
            self.peers += batch
            self.problem = self.problem or may_go_on()

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.peers = []


@contextlib.contextmanager
def crowd(order: SlowOrder, opening: bytes, *, awaits_answer: bool = False) -> Iterator[Crowd]:
    found = Crowd(order, opening, awaits_answer=awaits_answer)
    try:
        yield found
    finally:
        found.close()


class Watch:
    """Which of a crowd the server closes, and when."""

    def __init__(self, peers: list[socket.socket]) -> None:
        self._selector = selectors.DefaultSelector()
        self._began = time.monotonic()
        self.open: set[socket.socket] = set(peers)
        self.closed_seconds: list[float] = []
        self.first_status = 0
        self._received: dict[socket.socket, bytes] = {}
        for peer in peers:
            peer.setblocking(False)
            self._selector.register(peer, selectors.EVENT_READ)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def look(self, seconds: float) -> None:
        """Take note of what happens in this time."""
        for key, _ in self._selector.select(seconds):
            peer = key.fileobj
            assert isinstance(peer, socket.socket)
            try:
                data = peer.recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data:
                self._received[peer] = (self._received.get(peer, b"") + data)[:100]
            else:
                self._note_closed(peer)

    def _note_closed(self, peer: socket.socket) -> None:
        if not self.closed_seconds:
            self.first_status = status_of(self._received.get(peer, b""))
        self.closed_seconds.append(self.seconds)
        self._selector.unregister(peer)
        self.open.discard(peer)

    def send(self, data: bytes) -> None:
        """To each that is open; one that takes it no more has been closed."""
        for peer in list(self.open):
            try:
                peer.send(data)
            except BlockingIOError:
                continue
            except OSError:
                self._note_closed(peer)

    def end(self) -> None:
        self._selector.close()
