"""A connection of a protocol that opens it with a handshake of its own, and whose server may talk unasked."""

from __future__ import annotations

import contextlib
import time

from loadgen.onhost.engine.connection import AGAIN, BUSY, IDLE, HttpConnection, RunState, failure_kind
from loadgen.onhost.engine.exchange import FramingError, Opened, Opening
from loadgen.onhost.engine.poll import WRITE
from loadgen.onhost.engine.recognise import READ_BYTES

OPENING = 6  # a state beside those of connection.py


class OpenedConnection(HttpConnection):
    """It is there once its handshake is over: until then it counts as connecting."""

    __slots__ = ("_opened", "_opening")

    def __init__(self, run: RunState, opened: Opened) -> None:
        super().__init__(run)
        self._opened = opened
        self._opening: Opening

    def on_event(self, mask: int) -> None:
        if self.state == OPENING:
            self._continue_opening()
        elif self.state == IDLE:
            self._hear_idle(mask)
        else:
            super().on_event(mask)

    def close(self) -> None:
        """With the protocol's farewell where the connection is in order."""
        if self.socket is not None and self.state in (IDLE, BUSY) and not self.unsent:
            with contextlib.suppress(OSError):
                self.send(self._opened.farewell)
        super().close()

    def _connected(self, now: int) -> None:
        self._opening = self._opened.opening(self._run.target.load)
        self.exchange = self._run.target.protocol.new_exchange(self._run.target.load)
        self.state = OPENING
        request = self._opening.request
        try:
            if self.send(request) != len(request):
                self.fail("reset", now)  # a new socket takes so little, unless it is broken
        except AGAIN:
            self.fail("reset", now)
        except OSError as error:
            self.fail(failure_kind(error), now)

    def _continue_opening(self) -> None:
        now = time.perf_counter_ns()
        try:
            data = self.recv(READ_BYTES)
        except AGAIN:
            return
        except OSError as error:
            self.fail(failure_kind(error), now)
            return
        self._run.ledger.tally.bytes_received += len(data)
        try:
            is_open = self._opening.feed(data)
        except FramingError as error:
            self.fail(error.kind, now)
            return
        if is_open:
            super()._connected(now)
        elif not data:
            self.fail("closed_early", now)

    def _take(self, data: bytes, now: int) -> None:
        super()._take(data, now)
        self._reply(now)

    def _hear_idle(self, mask: int) -> None:
        """The server talks while nothing is owed: its pings are answered, all else ends the connection."""
        now = time.perf_counter_ns()
        if self.unsent and mask & WRITE:
            self._send_more()
        if not mask & ~WRITE or self.state != IDLE:
            return
        try:
            data = self.recv(READ_BYTES)
            self.exchange.reset()
            is_in_order = bool(data) and self.exchange.feed(data) == len(data) and not self.exchange.complete
        except AGAIN:
            return
        except (OSError, FramingError):
            is_in_order = False
        if is_in_order:
            self._reply(now)
        else:
            self.close()

    def _reply(self, now: int) -> None:
        reply = self._opened.reply_of(self.exchange)
        if not reply or self.socket is None:
            return
        if self.unsent:
            self.unsent = memoryview(bytes(self.unsent) + reply)
            return
        try:
            size = self.send(reply)
        except AGAIN:
            size = 0
        except OSError as error:
            self.fail(failure_kind(error), now)
            return
        if size != len(reply):
            self.keep_unsent(reply, size)
