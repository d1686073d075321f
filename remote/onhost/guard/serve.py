"""The guard's loop: relays come and go, requests are answered, processes end, the lease runs out."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import socket
from pathlib import Path

from bench.wire.attach import AttachOrder
from bench.wire.codec import encode_line, from_plain, plain_of
from bench.wire.guard import REQUESTS, GuardFailure, ProcessEnded
from remote.onhost.guard.guard import Guard
from remote.onhost.guard.peer import CHUNK_BYTES, Peer, greet
from remote.onhost.guard.record import log
from remote.onhost.guard.refused import Refused
from remote.onhost.guard.reply import Reply
from remote.onhost.guard.verbs import VERBS

# How long to wait for the next event: while something is being stopped, while a command has a deadline, else.
STOP_POLL_SECONDS = 0.01
DEADLINE_POLL_SECONDS = 0.5
IDLE_POLL_SECONDS = 1.0


class GuardLoop:
    """Serves until the host is released."""

    def __init__(self, folder: Path, order: AttachOrder, since: float, listener: socket.socket) -> None:
        self._order = order
        self._since = since
        self._guard = Guard(folder, order.lease_seconds, self._announce)
        self._listener = listener
        self._peers: list[Peer] = []
        self._selector = selectors.DefaultSelector()
        self._signalled = False

    def serve(self, first: Peer) -> None:
        """``first`` is a relay that has been greeted."""
        guard = self._guard
        wake = self._watch_signals()
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(wake, selectors.EVENT_READ, lambda: _drain(wake))
        self._add(first)
        while True:
            for key, _ in self._selector.select(self._patience()):
                key.data()
            guard.reap()
            guard.advance()
            why = "a signal" if self._signalled else guard.why_expired()
            if why and not guard.releasing:
                log(f"releasing the host: {why}")
                guard.release()
            if guard.is_released():
                return

    def _patience(self) -> float:
        if self._guard.is_stopping:
            return STOP_POLL_SECONDS
        return DEADLINE_POLL_SECONDS if self._guard.has_deadlines else IDLE_POLL_SECONDS

    def _watch_signals(self) -> int:
        """A file that becomes readable when a child has ended, or a signal asks us to end."""

        def end(number: int, frame: object) -> None:
            self._signalled = True

        wake, woken = os.pipe()
        for end_of_pipe in (wake, woken):
            os.set_blocking(end_of_pipe, False)
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, end)
        return wake

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._add(Peer(connection))

    def _add(self, peer: Peer) -> None:
        peer.connection.setblocking(False)
        self._peers.append(peer)
        self._selector.register(peer.connection, selectors.EVENT_READ, lambda: self._receive(peer))

    def _receive(self, peer: Peer) -> None:
        try:
            chunk = peer.connection.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._selector.unregister(peer.connection)
            self._peers.remove(peer)
            peer.connection.close()
            return
        for line in peer.lines(chunk):
            if peer.admitted:
                self._take(peer, line)
            elif greet(peer, line, self._order, self._since):
                self._guard.renew()

    def _take(self, peer: Peer, line: bytes) -> None:
        """One request. Whatever is wrong with it, the other processes keep their guard."""
        try:
            plain = plain_of(line)
            reply = Reply(peer, plain["id"])
        except (ValueError, TypeError, KeyError):
            log(f"not a request: {line[:80]!r}")
            return
        self._guard.renew()
        try:
            verb = plain["do"]
            VERBS[verb](self._guard, from_plain(REQUESTS[verb], plain), reply)
        except Refused as refused:
            reply.fail(GuardFailure(refused.kind, str(refused)))
        except OSError as error:
            reply.fail(GuardFailure(errno.errorcode.get(error.errno or 0, "OSError"), str(error)))
        except Exception:
            import traceback  # needed for our own mistakes alone

            reply.fail(GuardFailure("broken", traceback.format_exc()))

    def _announce(self, ended: ProcessEnded) -> None:
        """To every relay of the session."""
        line = encode_line(ended, event="exit")
        for peer in self._peers:
            if peer.admitted:
                peer.send(line)


def _drain(pipe: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(pipe, 4096)
