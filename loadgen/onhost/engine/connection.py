"""One connection of the load: all of its life but the part that the hot loop has made its own.

The hot loop (run.py) sends on a connection and reads it itself as long as nothing is out of the ordinary:
``fast`` says so. Connecting, TLS, answers that it doesn't recognise, failures and ends are here.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable

from bench.wire.histogram import index_of
from loadgen.onhost.engine.exchange import FramingError
from loadgen.onhost.engine.load import EngineError
from loadgen.onhost.engine.poll import READ, WRITE, Poller, Watched
from loadgen.onhost.engine.recognise import READ_BYTES, KeptBody, Recogniser
from loadgen.onhost.engine.tally import Ledger
from loadgen.onhost.engine.target import Target

AGAIN = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
UNCONNECTED, RESTING, CONNECTING, HANDSHAKING, IDLE, BUSY = range(6)
_REST_NANOSECONDS = 100_000_000  # after a refused connect, and after a connection that failed at once
_SHORT_LIFE_NANOSECONDS = 10_000_000


class RunState:
    """What the connections of a run share, with each other and with the hot loop."""

    __slots__ = (
        "countdown",
        "idle",
        "leaving",
        "ledger",
        "next_index",
        "open_sockets",
        "poller",
        "recogniser",
        "sent",
        "target",
        "watched",
    )

    def __init__(
        self,
        target: Target,
        poller: Poller,
        watched: dict[int, Watched],
        ledger: Ledger,
        *,
        index: int,
        workers: int,
    ) -> None:
        """This is worker ``index`` of ``workers``: its rotation begins at its share of the values."""
        self.target = target
        self.poller = poller
        self.watched = watched
        self.ledger = ledger
        self.recogniser = Recogniser(target.load, len(target.requests))
        self.next_index = itertools.cycle(_rotated(len(target.requests), index, workers)).__next__
        # To the next response whose body is hashed; from 0 down, it never is.
        self.countdown = 1 if target.load.expect.body_sha256 and not self.recogniser.compares else 0
        self.open_sockets = 0
        self.sent = 0
        self.idle: deque[HttpConnection] = deque()  # of an open load; some may be busy again
        self.leaving: set[HttpConnection] = set()  # those that end once they are answered


class HttpConnection(Watched):
    """One simulated user: a connection that is made again whenever it is needed.

    ``owes`` is true from the moment a request is taken on until it is answered or has failed.
    ``started`` is what its latency is counted from, ``begun`` what its timeout is counted from.
    ``remaining`` is what is missing of a body whose head was recognised in the hot loop.
    ``index`` is the request's place in the rotation.
    """

    __slots__ = (
        "_run",
        "begun",
        "connected_at",
        "ever_connected",
        "exchange",
        "fd",
        "index",
        "owes",
        "recv",
        "recv_into",
        "remaining",
        "rest_until",
        "retiring",
        "send",
        "socket",
        "started",
        "state",
        "unsent",
    )

    def __init__(self, run: RunState) -> None:
        super().__init__()
        self._run = run
        self.exchange = run.target.protocol.new_exchange(run.target.load)
        self.socket: socket.socket | None = None
        self.fd = -1
        self.state = UNCONNECTED
        self.owes = self.retiring = self.ever_connected = False
        self.remaining = self.index = 0
        self.started = self.begun = self.rest_until = self.connected_at = 0
        self.unsent = memoryview(b"")
        self.recv: Callable[[int], bytes]
        self.recv_into: Callable[..., int]
        self.send: Callable[[bytes | memoryview], int]

    def on_event(self, mask: int) -> None:
        state = self.state
        if state == BUSY:
            if self.unsent and mask & WRITE:
                self._send_more()
            if mask & ~WRITE and self.state == BUSY:
                self._receive()
        elif state == CONNECTING:
            self._end_connecting()
        elif state == HANDSHAKING:
            self._shake_hands()
        elif state == IDLE:
            self.close()  # the server has ended it, or talks out of turn: not a request's failure

    # A request

    def begin_request(self, started: int, now: int) -> None:
        self.owes = True
        self.started, self.begun = started, now
        self.index = self._run.next_index()
        if self.socket is None:
            self.connect(now)
        else:
            self._transmit(now)

    def sample(self) -> int:
        """The next answer has its body hashed; returns the requests until another one has."""
        self.fast = False
        self.exchange.reset()
        self.exchange.digest = hashlib.sha256()
        return self._run.target.load.hash_sample_every

    def keep_unsent(self, request: bytes, size: int) -> None:
        """The socket took ``size`` bytes of the request only: send the rest when it takes more."""
        self.fast = False
        self.unsent = memoryview(request)[size:]
        self._run.poller.modify(self.fd, READ | WRITE)

    def _transmit(self, now: int) -> None:
        run = self._run
        self.state = BUSY
        self.begun = now
        self.exchange.reset()
        self.fast = True
        if run.target.load.is_open:
            run.ledger.tally.send_lag[index_of(now - self.started)] += 1
        run.countdown -= 1
        if not run.countdown:
            run.countdown = self.sample()
        request = run.target.requests[self.index]
        try:
            size = self.send(request)
        except AGAIN:
            size = 0
        except OSError as error:
            self.fail(failure_kind(error), now)
            return
        run.sent += 1
        if size != len(request):
            self.keep_unsent(request, size)

    def _send_more(self) -> None:
        try:
            size = self.send(self.unsent)
        except AGAIN:
            return
        except OSError as error:
            self.fail(failure_kind(error), time.perf_counter_ns())
            return
        self.unsent = self.unsent[size:]
        if not self.unsent:
            self._run.poller.modify(self.fd, READ)

    # Its answer, where the hot loop leaves it to the protocol

    def take_unrecognised(self, data: bytes, now: int) -> None:
        """Bytes of an answer, as the hot loop read them."""
        if self.remaining:
            self._take_rest(data, now)
        elif self.owes:
            self.exchange.reset()
            self._take(data, now)

    def _receive(self) -> None:
        try:
            data = self.recv(min(self.remaining + 1, READ_BYTES) if self.remaining else READ_BYTES)
        except AGAIN:
            return
        except OSError as error:
            self.fail(failure_kind(error), time.perf_counter_ns())
            return
        now = time.perf_counter_ns()
        self._run.ledger.tally.bytes_received += len(data)
        if self.remaining:
            self._take_rest(data, now)
        else:
            self._take(data, now)

    def _take_rest(self, data: bytes, now: int) -> None:
        """More of a body whose head the hot loop recognised."""
        missing = self.remaining
        if not data:
            self.fail("closed_early", now)
        elif len(data) > missing:
            self.fail("bad_framing", now)
        elif not self._is_right(data, missing):
            self.fail("bad_body", now)
        elif len(data) < missing:
            self.remaining = missing - len(data)
        else:
            self.remaining = 0
            self._succeed(now)
            self._go_idle_or_on(now, reusable=True)

    def _is_right(self, data: bytes, missing: int) -> bool:
        """Whether ``data`` is what comes next of a body of which so many bytes are missing."""
        recogniser = self._run.recogniser
        if not recogniser.compares:
            return True
        body = recogniser.bodies[self.index]
        begin = len(body) - missing
        return body[begin : begin + len(data)] == data

    def _take(self, data: bytes, now: int) -> None:
        exchange = self.exchange
        if exchange.digest is None and self._run.recogniser.compares:
            exchange.digest = KeptBody()
        try:
            complete = exchange.feed(data) == len(data) if data else exchange.end()
        except FramingError as error:
            self.fail(error.kind, now)
            return
        if exchange.complete and complete:
            self._settle(data, now)
        elif not data:
            self.fail("closed_early", now)
        elif exchange.complete:
            self.fail("bad_framing", now)  # there is more than the response
        else:
            self.fast = False

    def _settle(self, data: bytes, now: int) -> None:
        exchange = self.exchange
        kind = self._verdict()
        if kind is None:
            self._succeed(now)
            self._run.recogniser.remember(exchange, self.index, data)
        else:
            self._run.ledger.fail(now, now - self.started, kind)
        if exchange.digest is not None and kind in (None, "bad_body"):
            self._run.ledger.tally.bodies_checked += 1
        reusable = self._run.target.load.keep_alive and not exchange.closes and not self.unsent
        self._go_idle_or_on(now, reusable=reusable)

    def _verdict(self) -> str | None:
        """The kind of failure that a complete answer is; None where it is good."""
        expect, exchange = self._run.target.load.expect, self.exchange
        if exchange.status != expect.status:
            return "bad_status"
        if expect.length is not None and exchange.body_length != expect.length:
            return "bad_length"
        if exchange.digest is not None:
            hashes = expect.body_sha256
            if exchange.digest.hexdigest() != hashes[self.index if len(hashes) > 1 else 0]:
                return "bad_body"
        return None

    def _succeed(self, now: int) -> None:
        run = self._run
        service = now - self.begun if run.target.load.is_open else None
        run.ledger.succeed(now, now - self.started, service)

    def _go_idle_or_on(self, now: int, *, reusable: bool) -> None:
        """After an answer, good or bad."""
        if not reusable:
            self.close()
        if self.retiring:
            self._leave()
        elif self._run.target.load.is_open:
            self.free()
        else:
            self.begin_request(now, now)

    def free(self) -> None:
        """Of an open load: answered, and without a request until one is due."""
        self.owes = self.fast = False
        self.state = UNCONNECTED if self.socket is None else IDLE
        self._run.idle.append(self)

    def fail(self, kind: str, now: int) -> None:
        """Without an answer: the connection is closed, and what it owed is counted."""
        young = self.state != BUSY or now - self.connected_at < _SHORT_LIFE_NANOSECONDS
        if self.owes:
            service = now - self.begun if self._run.target.load.is_open else None
            self._run.ledger.fail(now, now - self.started, kind, service)
        self.close()
        self.owes = False
        if self.retiring:
            self._leave()
        elif self._run.target.load.is_open:
            self._run.idle.append(self)
        elif young:
            self.state = RESTING
            self.rest_until = now + _REST_NANOSECONDS
        else:
            self.begin_request(now, now)

    # Its beginning and its end

    def connect(self, now: int) -> None:
        target = self._run.target
        try:
            sock = socket.socket(target.family, socket.SOCK_STREAM)
        except OSError as error:
            raise EngineError(
                f"no socket to be had for a connection: {error}. Use fewer connections"
            ) from error
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._adopt(sock)
        self.state = CONNECTING
        status = sock.connect_ex(target.address)
        self.fd = sock.fileno()
        self._run.watched[self.fd] = self
        self._run.poller.register(self.fd, WRITE)
        if status not in (0, errno.EINPROGRESS):
            self.fail(failure_kind(OSError(status, ""), connecting=True), now)

    def retire(self) -> None:
        """End once it is answered, and at once where nothing was sent."""
        self.retiring = True
        self.fast = False
        if self.owes and self.state == BUSY:
            self._run.leaving.add(self)
        else:
            self.close()
            self.owes = False

    def close(self) -> None:
        run, sock = self._run, self.socket
        self.socket = None
        if sock is not None:
            if self.state in (IDLE, BUSY):
                run.open_sockets -= 1
            run.poller.unregister(self.fd)
            del run.watched[self.fd]
            sock.close()
        self.state = UNCONNECTED
        self.fast = False
        self.remaining = 0
        self.unsent = memoryview(b"")

    def _leave(self) -> None:
        self.close()
        self.owes = False
        self._run.leaving.discard(self)

    def _adopt(self, sock: socket.socket) -> None:
        self.socket = sock
        self.recv, self.recv_into, self.send = sock.recv, sock.recv_into, sock.send

    def _own_socket(self) -> socket.socket:
        """Its socket, where it must have one."""
        assert self.socket is not None
        return self.socket

    def _end_connecting(self) -> None:
        now = time.perf_counter_ns()
        sock, target = self._own_socket(), self._run.target
        status = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            self.fail(failure_kind(OSError(status, ""), connecting=True), now)
        elif target.tls is None:
            self._run.poller.modify(self.fd, READ)
            self._connected(now)
        else:
            name = target.load.server_name or target.load.host
            self._adopt(target.tls.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False))
            self.state = HANDSHAKING
            self._shake_hands()

    def _shake_hands(self) -> None:
        sock, poller = self._own_socket(), self._run.poller
        assert isinstance(sock, ssl.SSLSocket)
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            poller.modify(self.fd, READ)
        except ssl.SSLWantWriteError:
            poller.modify(self.fd, WRITE)
        except ssl.SSLCertVerificationError as error:
            raise EngineError(
                f"the server's certificate is not trusted ({error.verify_message}): set tls_ca_file"
            ) from error
        except OSError as error:
            self.fail(failure_kind(error), time.perf_counter_ns())
        else:
            poller.modify(self.fd, READ)
            self._connected(time.perf_counter_ns())

    def _connected(self, now: int) -> None:
        run = self._run
        run.open_sockets += 1
        tally = run.ledger.tally
        tally.connects += 1
        if self.ever_connected and run.target.load.keep_alive:
            tally.reconnects += 1
        self.ever_connected = True
        self.connected_at = now
        if self.owes:
            self._transmit(now)
        else:
            self.state = IDLE
            run.idle.append(self)


def failure_kind(error: OSError, *, connecting: bool = False) -> str:
    """The kind that a socket's error is counted as."""
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return "timeout"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closed_early"
    return "refused" if connecting else "reset"


def _rotated(count: int, index: int, workers: int) -> tuple[int, ...]:
    start = count * index // workers
    return (*range(start, count), *range(start))
