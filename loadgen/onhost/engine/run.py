"""One load on one target: the hot loop, how many connections there are, when requests are due.

``Run.serve`` is longer than a function may be: it is the hot loop, two system calls and little Python a
request, and each call and each look-up that a cut would add is paid for in requests per second.
"""

from __future__ import annotations

import itertools
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from bench.wire.engine import SetUpRun
from bench.wire.histogram import index_of
from bench.wire.slices import Slice, Totals
from loadgen.onhost.engine.arrivals import due_times
from loadgen.onhost.engine.connection import (
    AGAIN,
    BUSY,
    IDLE,
    RESTING,
    UNCONNECTED,
    HttpConnection,
    RunState,
    failure_kind,
)
from loadgen.onhost.engine.exchange import LoadProtocol
from loadgen.onhost.engine.http1 import HTTP1
from loadgen.onhost.engine.opened import OpenedConnection
from loadgen.onhost.engine.poll import SECOND, BusyPoll, Poller, PreciseWait, Watched
from loadgen.onhost.engine.tally import Ledger, SliceClock, Tally, Waiting
from loadgen.onhost.engine.target import allow_open_files, find_target

_IDLE_POLL_SECONDS = 0.05
_HOUSEKEEPING_NANOSECONDS = 50_000_000
_DRAIN_SECONDS = 1.0
_SINK_BYTES = 1 << 20
_TRUNCATE = getattr(socket, "MSG_TRUNC", 0) if sys.platform == "linux" else 0
_FILES_BESIDE_CONNECTIONS = 64
_QUIET_NANOSECONDS = 20_000_000  # shorter times without a byte are not looked at
_BACKLOG_AGES = 1_000  # of a longer backlog a part is looked at, and stands for all


class Run:
    """Connections, requests, answers, slices.

    ``emit`` gets the slices as they end. ``set_connections`` may be called at any time. ``stop`` lets the
    requests in flight be answered; then ``serve`` returns and ``totals`` is complete. A response is read by
    the hot loop as long as nothing about it is out of the ordinary; its connection does all the rest.
    """

    def __init__(
        self,
        order: SetUpRun,
        poller: Poller,
        watched: dict[int, Watched],
        emit: Callable[[Slice], None],
        protocol: LoadProtocol = HTTP1,
    ) -> None:
        """Raises EngineError: unknown host, no such CA file, a request that can't be sent."""
        self.load = load = order.spec
        self.over = False
        self._worker = order.worker
        self._poller, self._wait, self._busy_poll = poller, PreciseWait(poller), BusyPoll(poller.poll)
        target = find_target(load, protocol)
        self._begun_at = self._housekeeping_at = self._heard_at = time.perf_counter_ns()
        self._cpu_seconds, self._busy_poll_seconds = time.process_time(), 0.0
        clock = SliceClock(load.epoch, load.clock_offsets.get(order.worker, 0.0))
        self._ledger = Ledger(clock, self._begun_at, self._as_slice, emit)
        self._state = RunState(
            target, poller, watched, self._ledger, index=order.index, workers=order.workers
        )
        self._slots: list[HttpConnection] = []
        self._backlog: deque[int] = deque()
        self._in_flight_at_stop = self._backlog_at_stop = 0
        self._give_up_at: int | None = None
        dues = due_times(load, clock.epoch_nanoseconds, self._begun_at, order.index, order.workers)
        self._due = dues if load.is_open else iter(())
        self._next_due = next(self._due, 0)

    def serve(self) -> None:
        """Drive the run until it is over.

        Whatever is slow waits for the batch's end, so nothing is opened or closed while it is gone through.
        """
        state, ledger, recogniser = self._state, self._ledger, self._state.recogniser
        watched: dict[int, Any] = state.watched
        clock, poll, is_open = time.perf_counter_ns, self._poller.poll, self.load.is_open
        poll_busily, wait_precisely = self._busy_poll.wait, self._wait.poll
        requests, next_index, heads = state.target.requests, state.next_index, recogniser.heads
        request, rotates = requests[0], len(requests) > 1
        request_bytes = len(request)
        compares, bodies, ends = recogniser.compares, recogniser.bodies, recogniser.ends
        heard = self._heard_at
        sink, sink_flags = bytearray(_SINK_BYTES), 0 if self.load.tls else _TRUNCATE
        slow: list[tuple[Any, Any, bytes, int]] = []  # connection, mask or kind of failure, data, now
        while not self.over:
            if is_open:
                events = wait_precisely(self._seconds_to_next_due())
            else:
                events = poll(0) or poll_busily(_IDLE_POLL_SECONDS)
            woke = clock()
            tally, whole, read_bytes = ledger.tally, recogniser.whole, recogniser.read_bytes
            counts, slice_end, countdown = tally.histogram, tally.end_nanoseconds, state.countdown
            received = sent = 0
            for fd, mask in events:
                connection = watched[fd]
                if not connection.fast:
                    slow.append((connection, mask, b"", 0))
                    continue
                try:
                    remaining = connection.remaining
                    if not remaining:
                        data = connection.recv(read_bytes)
                        now = clock()
                        size = len(data)
                        received += size
                        if data != whole:
                            if compares:
                                index = connection.index
                                known = heads.get(data[: ends[index]]) == size
                                if not known or not data.endswith(bodies[index]):
                                    remaining = recogniser.missing(data, index)
                                    if remaining:
                                        connection.remaining = remaining
                                    else:
                                        connection.fast = False
                                        slow.append((connection, None, data, now))
                                    continue
                            else:
                                remaining = heads.get(data[: data.find(b"\r\n\r\n") + 4], -1) - size
                                if remaining < 0:
                                    connection.fast = False
                                    slow.append((connection, None, data, now))
                                    continue
                                connection.remaining = remaining
                                if remaining and size < read_bytes:
                                    continue
                    elif compares:
                        data = connection.recv(remaining + 1)
                        now = clock()
                        received += len(data)
                        if data != bodies[connection.index][-remaining:]:
                            slow.append((connection, None, data, now))
                            continue
                        connection.remaining = remaining = 0
                    if remaining:
                        size = connection.recv_into(sink, min(remaining + 1, _SINK_BYTES), sink_flags)
                        now = clock()
                        received += size
                        if 0 < size < remaining:
                            connection.remaining = remaining - size
                            continue
                        connection.remaining = 0
                        if size != remaining:
                            slow.append((connection, "bad_framing" if size else "closed_early", b"", now))
                            continue
                except AGAIN:
                    continue
                except OSError as error:
                    slow.append((connection, failure_kind(error), b"", clock()))
                    continue
                if now >= slice_end:
                    tally.bytes_received += received
                    received = 0
                    tally = ledger.roll(now)
                    counts, slice_end = tally.histogram, tally.end_nanoseconds
                latency = now - connection.started
                shift = latency.bit_length() - 10  # index_of, inlined
                counts[(shift << 9) + (latency >> shift) if shift > 0 else latency] += 1
                if is_open:
                    tally.service_histogram[index_of(now - connection.begun)] += 1
                    connection.free()
                    continue
                connection.started = now
                if rotates:
                    connection.index = index = next_index()
                    request = requests[index]
                    request_bytes = len(request)
                countdown -= 1
                if not countdown:
                    countdown = connection.sample()
                try:
                    size = connection.send(request)
                except AGAIN:
                    size = 0
                except OSError as error:
                    slow.append((connection, failure_kind(error), b"", now))
                    continue
                sent += 1
                if size != request_bytes:
                    connection.keep_unsent(request, size)
            tally.bytes_received += received
            state.sent += sent
            state.countdown = countdown
            if slow:
                before = ledger.tally.bytes_received
                for connection, what, data, now in slow:
                    _go_on(connection, what, data, now)
                slow.clear()
                received += ledger.tally.bytes_received - before
            if received:
                if woke - heard > _QUIET_NANOSECONDS:
                    self._end_quiet(heard, woke)
                heard = woke
            now = clock()
            if now - woke > ledger.tally.lag_nanoseconds_max:
                ledger.tally.lag_nanoseconds_max = now - woke
            if is_open or now >= self._housekeeping_at:
                self._heard_at = heard
                self._after_batch(now)
                heard = self._heard_at

    def _after_batch(self, now: int) -> None:
        if self.load.is_open and self._give_up_at is None:
            self._send_what_is_due(now)
        if now >= self._housekeeping_at:
            self._keep_house(now)

    def _end_quiet(self, heard: int, woke: int) -> None:
        """Bytes have come, the first since ``heard``."""
        self._ledger.roll(woke)
        self._ledger.end_quiet(woke - heard - self._held_up(woke))

    def _held_up(self, now: int) -> int:
        """How long we were kept from looking, beside the longest that we sleep: nobody's silence but ours."""
        return max(0, now - self._housekeeping_at - _HOUSEKEEPING_NANOSECONDS)

    def _keep_house(self, now: int) -> None:
        if held_up := self._held_up(now):
            self._heard_at = min(now, self._heard_at + held_up)
            tally = self._ledger.tally
            tally.lag_nanoseconds_max = max(tally.lag_nanoseconds_max, held_up)
        tally = self._ledger.roll(now)
        self._housekeeping_at = min(now + _HOUSEKEEPING_NANOSECONDS, tally.end_nanoseconds)
        timeout = round(self.load.timeout_seconds * SECOND)
        for connection in self._connections():
            if connection.state == RESTING:
                if now >= connection.rest_until:
                    connection.begin_request(now, now)
            elif connection.owes and now - max(connection.started, connection.begun) > timeout:
                connection.fail("timeout", now)
        if self._give_up_at is not None:
            self._housekeeping_at = now  # after each batch from here on
            self._end_when_drained(now)

    def _connections(self) -> tuple[HttpConnection, ...]:
        return (*self._slots, *self._state.leaving)

    def _waiting(self, end: int) -> Waiting:
        """How long what is owed now has waited at ``end``; a request that is due is owed, sent or not."""
        is_open = self.load.is_open
        owing = [one for one in self._connections() if one.owes]
        latency = Counter(index_of(end - one.started) for one in owing if one.started < end)
        sent = (one.begun for one in owing if is_open and one.state == BUSY)
        service = Counter(index_of(end - begun) for begun in sent if begun < end)
        step = len(self._backlog) // _BACKLOG_AGES + 1
        for due in itertools.islice(self._backlog, 0, None, step):
            if due < end:
                latency[index_of(end - due)] += step
        return Waiting(tuple(sorted(latency.items())), tuple(sorted(service.items())))

    def _as_slice(self, tally: Tally) -> Slice:
        if self._state.recogniser.compares:
            tally.bodies_checked = sum(tally.histogram.values()) + tally.failures.get("bad_body", 0)
        cpu_seconds = time.process_time()
        busy_poll_seconds = self._busy_poll.nanoseconds / SECOND
        one = tally.as_slice(
            self._state.open_sockets,
            cpu_seconds - self._cpu_seconds,
            busy_poll_seconds - self._busy_poll_seconds,
            self._waiting(tally.end_nanoseconds),
            max(0, tally.end_nanoseconds - self._heard_at),
        )
        self._cpu_seconds, self._busy_poll_seconds = cpu_seconds, busy_poll_seconds
        return one

    # How many connections

    def set_connections(self, count: int) -> None:
        """Hold so many connections from now on; those that are too many end when they are answered.

        Raises EngineError when the system doesn't allow so many open files.
        """
        if self._give_up_at is not None:
            return
        allow_open_files(count + _FILES_BESIDE_CONNECTIONS)
        while len(self._slots) > count:
            self._slots.pop().retire()
        now = time.perf_counter_ns()
        while len(self._slots) < count:
            connection = self._new_connection()
            self._slots.append(connection)
            if not self.load.is_open:
                connection.begin_request(now, now)
            elif self.load.keep_alive:
                connection.begun = now
                connection.connect(now)
            else:
                self._state.idle.append(connection)

    def _new_connection(self) -> HttpConnection:
        opened = self._state.target.protocol.opened
        return HttpConnection(self._state) if opened is None else OpenedConnection(self._state, opened)

    def stop(self) -> None:
        """Send nothing any more, wait for what is in flight; ``serve`` returns when that is done."""
        if self._give_up_at is not None:
            return
        patience_seconds = min(_DRAIN_SECONDS, self.load.timeout_seconds)
        self._housekeeping_at = time.perf_counter_ns()
        self._give_up_at = self._housekeeping_at + round(patience_seconds * SECOND)
        self._backlog_at_stop = len(self._backlog)
        while self._slots:
            self._slots.pop().retire()

    def _end_when_drained(self, now: int) -> None:
        leaving = self._state.leaving
        if leaving and now < (self._give_up_at or 0):
            return
        self._in_flight_at_stop = len(leaving)
        self._ledger.end(now)
        for connection in leaving:
            connection.close()
        leaving.clear()
        self.over = True

    def abandon(self) -> None:
        """Close everything at once and measure no more: the run has failed."""
        for connection in self._connections():
            connection.close()
        self.over = True

    def totals(self) -> Totals:
        """Complete once the run is over. What only Locust's process knows is 0 in it."""
        return self._ledger.sums.totals(
            self._worker,
            sent=self._state.sent,
            in_flight=self._in_flight_at_stop,
            backlog=self._backlog_at_stop,
        )

    # Open loop

    def _seconds_to_next_due(self) -> float:
        if self._give_up_at is not None or self._backlog:
            return _IDLE_POLL_SECONDS
        return min((self._next_due - time.perf_counter_ns()) / SECOND, _IDLE_POLL_SECONDS)

    def _send_what_is_due(self, now: int) -> None:
        backlog, tally = self._backlog, self._ledger.tally
        while backlog and (connection := self._take_idle()):
            connection.begin_request(backlog.popleft(), now)
        while self._next_due <= now:
            if not backlog and (connection := self._take_idle()):
                connection.begin_request(self._next_due, now)
            elif len(backlog) < self.load.max_backlog:
                backlog.append(self._next_due)
                tally.backlog_max = max(tally.backlog_max, len(backlog))
            else:
                tally.backlog_dropped += 1
            self._next_due = next(self._due)

    def _take_idle(self) -> HttpConnection | None:
        idle = self._state.idle
        while idle:
            connection = idle.popleft()
            if not (connection.owes or connection.retiring) and connection.state in (IDLE, UNCONNECTED):
                return connection
        return None


def _go_on(connection: Any, what: int | str | None, data: bytes, now: int) -> None:
    """What the hot loop left: an event's mask, a failure's kind, or data it doesn't recognise (None)."""
    if isinstance(what, int):
        connection.on_event(what)
    elif what is None:
        connection.take_unrecognised(data, now)
    elif connection.owes:
        connection.fail(what, now)
