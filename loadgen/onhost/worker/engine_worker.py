"""A load worker whose requests an engine sends: Locust registers, spawns, counts and stops.

A user of Locust's is one connection of the engine's. The engine ends with this process, and this process with
its engine.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
from locust import User, events, task
from locust.stats import StatsError, bucket_response_time

from bench.wire import engine as wire
from bench.wire.codec import decode_tagged, encode_tagged
from bench.wire.histogram import midpoint_of
from bench.wire.slices import Pairs, Slice
from bench.wire.worker import RunOrder
from loadgen.onhost.worker.worker import LocustWorker, isolate_from_settings, pin

_ENGINE_END_SECONDS = 2
_logger = logging.getLogger(__name__)


class EngineProcess:
    """The engine in a process of its own, which gevent has not patched, at the other end of a socketpair.

    ``module`` is what runs it. ``on_event`` takes its events, ``on_end`` its exit status.
    """

    def __init__(
        self, module: str, on_event: Callable[[object], None], on_end: Callable[[int], None]
    ) -> None:
        ours, theirs = socket.socketpair()
        arguments = ["--control-fd", str(theirs.fileno()), "--parent", str(os.getpid())]
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self._socket = ours
        self._on_event, self._on_end = on_event, on_end
        self._reader = gevent.spawn(self._read)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, order: object) -> None:
        """One of bench.wire.engine.ORDERS."""
        try:
            self._socket.sendall(encode_tagged(wire.ORDERS, "do", order))
        except ConnectionError:
            # _read tells of its end.
            _logger.warning("The engine has gone, before %s", type(order).__name__)

    def close(self) -> None:
        """End it, and see it end."""
        self._reader.kill()
        self._socket.close()
        try:
            self._process.wait(timeout=_ENGINE_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self._on_event(decode_tagged(wire.EVENTS, "event", line))
        except ConnectionError as error:
            _logger.warning("The engine has gone: %s", error)
        self._on_end(self._process.wait())


class LocustFeed:
    """Puts a slice's figures into Locust's own statistics, in bulk: its counters are to agree with ours."""

    def __init__(self, stats: Any, method: str, path: str) -> None:
        self._stats, self._method, self._path = stats, method, path

    def add(self, one: Slice) -> None:
        pairs = (*one.histogram, *one.failure_histogram)
        failed = sum(one.failures.values())
        if not pairs:
            return
        for entry in (self._stats.total, self._stats.get(self._path, self._method)):
            self._add_to(entry, pairs, failed, one.bytes_received)
        for kind, count in one.failures.items():
            key = StatsError.create_key(self._method, self._path, kind)
            error = self._stats.errors.setdefault(key, StatsError(self._method, self._path, kind))
            error.occurrences += count

    def _add_to(self, entry: Any, pairs: Pairs, failed: int, length_bytes: int) -> None:
        now = time.time()
        count = sum(times for _, times in pairs)
        entry.num_requests += count
        entry.num_failures += failed
        entry.total_content_length += length_bytes
        entry.last_request_timestamp = now
        entry.num_reqs_per_sec[int(now)] += count
        entry.num_fail_per_sec[int(now)] += failed
        milliseconds = [(midpoint_of(index) / 1e6, times) for index, times in pairs]
        entry.total_response_time += sum(value * times for value, times in milliseconds)
        least, most = min(milliseconds)[0], max(milliseconds)[0]
        entry.min_response_time = (
            least if entry.min_response_time is None else min(entry.min_response_time, least)
        )
        entry.max_response_time = max(entry.max_response_time, most)
        for value, times in milliseconds:
            entry.response_times[bucket_response_time(value)] += times


class EngineWorker(LocustWorker):
    """What the master says, the engine does; what the engine says goes to the master."""

    def __init__(self, environment: Any, module: str) -> None:
        super().__init__(environment)
        self._users = 0
        self._change_pending = False
        self._feed: LocustFeed
        self._engine = EngineProcess(module, self._on_engine_event, self._on_engine_end)
        environment.events.quitting.add_listener(lambda **_: self._engine.close())

    @property
    def sender_pid(self) -> int:
        return self._engine.pid

    def begin(self, order: RunOrder) -> None:
        self._users = 0
        self._feed = LocustFeed(self._runner.stats, order.spec.method, order.spec.path)
        self._engine.send(wire.SetUpRun(order.run, order.spec, self._name, order.index, order.workers))

    def end(self) -> None:
        self._engine.send(wire.EndRun())

    # From Locust's users

    def change_users(self, difference: int) -> None:
        """Locust started or stopped a user. Many come at once: the engine gets one order for all."""
        self._users += difference
        if not self._change_pending:
            self._change_pending = True
            gevent.spawn(self._tell_engine)

    def _tell_engine(self) -> None:
        self._change_pending = False
        if self._running:
            self._engine.send(wire.SetConnections(self._users))

    # From the engine

    def _on_engine_event(self, event: object) -> None:
        match event:
            case wire.SliceOver():
                self._feed.add(event.slice)
                self.take_slice(event.slice)
            case wire.RunOver():
                self.take_totals(event.totals)
            case wire.ConnectionsSet():
                self.tell_connections(event.connections)
            case wire.EngineFailed():
                self.take_failure(event.message)

    def _on_engine_end(self, status: int) -> None:
        message = f"the engine ended with status {status}"
        self.tell_failed(message)
        _logger.error("%s: ending", message)
        gevent.sleep(0.2)  # Locust's socket sends on its own; give it the time
        self._runner.quit()


class SimulatedConnection(User):  # type: ignore[misc]  # Locust has no types
    """One of Locust's users: it holds one of the engine's connections by being there."""

    def on_start(self) -> None:
        self.environment.asgibench_worker.change_users(+1)

    def on_stop(self) -> None:
        self.environment.asgibench_worker.change_users(-1)

    @task  # type: ignore[untyped-decorator]
    def hold(self) -> None:
        gevent.event.Event().wait()


def drive_engine(module: str) -> None:
    """Make this process a load worker with the engine that ``python -m module`` is.

    To be called by a client's locustfile, which must have SimulatedConnection among its names: Locust takes
    the User classes that it finds there.
    """

    @events.init.add_listener  # type: ignore[untyped-decorator]
    def become_worker(environment: Any, **_: Any) -> None:
        pin()
        worker = EngineWorker(environment, module)
        environment.asgibench_worker = worker
        worker.serve()

    isolate_from_settings()
