"""A load worker: Locust registers, spawns, counts and stops; the engine beneath it drives the connections.

Shipped, with engine.py, histogram.py and worker.py beside it; standard library and Locust. Contract: ``locust
--worker -f <absolute path of this file> --master-host H --master-port P`` with the variables of worker.py in
the environment. Messages: protocol.md. The process ends when its master does (within 6 s), when its engine
does, or when told; the engine ends with it.
"""

from __future__ import annotations

import json
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

from bench.wire.histogram import midpoint_of
from loadgen.onhost.worker.worker import LoadWorker, core_wait_seconds, leave_locusts_settings, pin

_ENGINE_END_SECONDS = 2
_logger = logging.getLogger(__name__)


class EngineProcess:
    """The engine in a process of its own, unpatched, at the other end of a socketpair."""

    def __init__(self, on_event: Callable[[dict[str, Any]], None], on_end: Callable[[int], None]) -> None:
        ours, theirs = socket.socketpair()
        arguments = ["--control-fd", str(theirs.fileno()), "--parent", str(os.getpid())]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadgen.onhost.engine", *arguments],
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

    def send(self, **message: Any) -> None:
        try:
            self._socket.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        except ConnectionError:
            _logger.warning("The engine has gone, before %s", message["do"])  # _read tells of its end

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
            with self._socket.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    self._on_event(json.loads(line))
        except ConnectionError as error:
            _logger.warning("The engine has gone: %s", error)
        self._on_end(self._process.wait())


class LocustFeed:
    """Puts a slice's figures into Locust's own statistics, in bulk: its counters are to agree with ours."""

    def __init__(self, stats: Any, method: str, path: str) -> None:
        self._stats, self._method, self._path = stats, method, path

    def add(self, slice_: dict[str, Any]) -> None:
        pairs = [*slice_["histogram"], *slice_["failure_histogram"]]
        failed = sum(slice_["failures"].values())
        if not pairs:
            return
        for entry in (self._stats.total, self._stats.get(self._path, self._method)):
            self._add_to(entry, pairs, failed, slice_["bytes_received"])
        for kind, count in slice_["failures"].items():
            key = StatsError.create_key(self._method, self._path, kind)
            error = self._stats.errors.setdefault(key, StatsError(self._method, self._path, kind))
            error.occurrences += count

    def _add_to(self, entry: Any, pairs: list[list[int]], failed: int, length_bytes: int) -> None:
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


class EngineWorker(LoadWorker):
    """What the master says, the engine does; what the engine says goes to the master."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._users = 0
        self._change_pending = False
        self._core_wait_mark = 0.0
        self._feed: LocustFeed
        self._engine = EngineProcess(self._on_engine_event, self._on_engine_end)
        environment.events.quitting.add_listener(lambda **_: self._engine.close())

    def begin(self, spec: dict[str, Any], index: int, workers: int) -> None:
        self._users = 0
        self._core_wait_mark = core_wait_seconds(self._engine.pid)
        self._feed = LocustFeed(self._runner.stats, spec.get("method", "GET"), spec["path"])
        place = {"worker": self._name, "index": index, "workers": workers}
        self._engine.send(do="run", run=self._run, spec=spec, **place)

    def end(self) -> None:
        self._engine.send(do="stop")

    # From Locust's users

    def change_users(self, difference: int) -> None:
        """Locust started or stopped a user. Many come at once: the engine is told once."""
        self._users += difference
        if not self._change_pending:
            self._change_pending = True
            gevent.spawn(self._tell_engine)

    def _tell_engine(self) -> None:
        self._change_pending = False
        if self._running:
            self._engine.send(do="connections", connections=self._users)

    # From the engine

    def _on_engine_event(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "slice":
                self._feed.add(event["slice"])
                waited = core_wait_seconds(self._engine.pid)
                event["slice"]["core_wait_seconds"] = waited - self._core_wait_mark
                self._core_wait_mark = waited
                self.take_slice(event["slice"])
            case "totals":
                self.take_totals(event["totals"])
            case "connections":
                self.tell_connections(event["connections"])
            case "failed":
                self._running = False
                self._spool.append({"failed": event["message"]})
                self._spool.close()
                self.tell_failed(event["message"])

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


@events.init.add_listener  # type: ignore[untyped-decorator]
def _become_worker(environment: Any, **_: Any) -> None:
    pin()
    worker = EngineWorker(environment)
    environment.asgibench_worker = worker
    worker.serve()


leave_locusts_settings()
