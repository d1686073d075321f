"""A load worker: Locust registers, spawns, counts and stops; the engine beneath it drives the connections.

Shipped, with engine.py and histogram.py beside it; standard library and Locust. Contract: ``locust --worker
-f <absolute path of this file> --master-host H --master-port P`` with, in the environment, ASGIBENCH_WORKER
(a name that is unique), ASGIBENCH_SPOOL (an existing folder) and optionally ASGIBENCH_CORES ("1", "2,3":
pinned to them where the system can). Messages: protocol.md. The process ends when its master does (within
6 s), when its engine does, or when told; the engine ends with it.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import gevent
import gevent.event
from locust import User, events, runners, task
from locust.stats import StatsError, bucket_response_time

if TYPE_CHECKING or __package__:
    from loadgen.histogram import midpoint_of
else:
    from histogram import midpoint_of

_REPORT_INTERVAL_SECONDS = 0.5
_MASTER_TIMEOUT_SECONDS = 6
_ENGINE_END_SECONDS = 2
_logger = logging.getLogger(__name__)


class Spool:
    """The worker's own copy of a run's slices: one JSON object a line, on its own disk."""

    def __init__(self, folder: Path, run: str, worker: str) -> None:
        self._file: TextIO = (folder / f"{run.replace('/', '_')}.jsonl").open("w", encoding="utf-8")
        self.append({"run": run, "worker": worker})

    def append(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class EngineProcess:
    """The engine in a process of its own, unpatched, at the other end of a socketpair."""

    def __init__(self, on_event: Callable[[dict[str, Any]], None], on_end: Callable[[int], None]) -> None:
        ours, theirs = socket.socketpair()
        program = str(Path(__file__).with_name("engine.py"))
        arguments = ["--control-fd", str(theirs.fileno()), "--parent", str(os.getpid())]
        self._process = subprocess.Popen(
            [sys.executable, program, *arguments], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        theirs.close()
        self._socket = ours
        self._on_event, self._on_end = on_event, on_end
        self._reader = gevent.spawn(self._read)

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


class LoadWorker:
    """One worker between its master and its engine: what the one says, the other does, and reports."""

    def __init__(self, environment: Any, name: str, spool_folder: Path) -> None:
        self._environment = environment
        self._runner = environment.runner
        self._name = name
        self._spool_folder = spool_folder
        self._run = ""
        self._running = False
        self._users = 0
        self._change_pending = False
        self._slices: list[dict[str, Any]] = []
        self._totals: dict[str, Any] | None = None
        self._locust_cpu_seconds = 0.0
        self._locust_cpu_mark = time.process_time()
        self._heard_at = time.monotonic()
        self._spool: Spool
        self._feed: LocustFeed
        self._engine = EngineProcess(self._on_engine_event, self._on_engine_end)

    def serve(self) -> None:
        """Register with Locust and make ourselves known to the master."""
        self._runner.register_message("asgibench_run", self._on_run)
        self._runner.register_message("asgibench_stop", self._on_stop)
        self._environment.events.report_to_master.add_listener(self._on_report)
        self._environment.events.heartbeat_received.add_listener(self._on_heartbeat)
        self._environment.events.quitting.add_listener(lambda **_: self._engine.close())
        gevent.spawn(self._watch_master)
        self._runner.send_message("asgibench_hello", {"worker": self._name})

    # From the master

    def _on_run(self, msg: Any, **_: Any) -> None:
        data = msg.data
        self._run, self._running, self._users = data["run"], True, 0
        self._slices, self._totals = [], None
        self._locust_cpu_seconds, self._locust_cpu_mark = 0.0, time.process_time()
        # Locust drops a spawn order that is "older" than the last: a controller's clock may be set back.
        self._runner.last_received_spawn_timestamp = 0
        spec = data["spec"]
        self._feed = LocustFeed(self._runner.stats, spec.get("method", "GET"), spec["path"])
        self._spool = Spool(self._spool_folder, self._run, self._name)
        place = {"worker": self._name, "index": data["index"], "workers": data["workers"]}
        self._engine.send(do="run", run=self._run, spec=spec, **place)

    def _on_stop(self, msg: Any, **_: Any) -> None:
        if self._running and msg.data["run"] == self._run:
            self._engine.send(do="stop")

    def _on_heartbeat(self, **_: Any) -> None:
        self._heard_at = time.monotonic()

    def _watch_master(self) -> None:
        while time.monotonic() - self._heard_at < _MASTER_TIMEOUT_SECONDS:
            gevent.sleep(1)
        _logger.error("The master has not been heard of for %s s: ending", _MASTER_TIMEOUT_SECONDS)
        self._runner.quit()

    # From Locust's users

    def change_users(self, difference: int) -> None:
        """Locust started or stopped a user. Many come at once: the engine is told once."""
        self._users += difference
        if not self._change_pending:
            self._change_pending = True
            gevent.spawn(self._tell_connections)

    def _tell_connections(self) -> None:
        self._change_pending = False
        if self._running:
            self._engine.send(do="connections", connections=self._users)

    # From the engine

    def _on_engine_event(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "slice":
                self._take_slice(event["slice"])
            case "totals":
                self._take_totals(event["totals"])
            case "connections":
                message = {"run": self._run, "connections": event["connections"]}
                self._runner.send_message("asgibench_connections", message)
            case "failed":
                self._running = False
                self._spool.append({"failed": event["message"]})
                self._spool.close()
                self._runner.send_message("asgibench_failed", {"run": self._run, "message": event["message"]})

    def _on_engine_end(self, status: int) -> None:
        message = f"the engine ended with status {status}"
        self._runner.send_message("asgibench_failed", {"run": self._run, "message": message})
        _logger.error("%s: ending", message)
        gevent.sleep(0.2)  # Locust's socket sends on its own; give it the time
        self._runner.quit()

    def _take_slice(self, slice_: dict[str, Any]) -> None:
        cpu_seconds = time.process_time()
        slice_["locust_cpu_seconds"] = cpu_seconds - self._locust_cpu_mark
        self._locust_cpu_seconds += slice_["locust_cpu_seconds"]
        self._locust_cpu_mark = cpu_seconds
        self._spool.append(slice_)
        self._feed.add(slice_)
        self._slices.append(slice_)

    def _take_totals(self, totals: dict[str, Any]) -> None:
        self._running = False
        totals |= {"worker": self._name, "locust_cpu_seconds": self._locust_cpu_seconds}
        self._spool.append({"totals": totals})
        self._spool.close()
        self._totals = totals
        self._runner._send_stats()  # now, and not half a second later; Locust has no public name for it

    # To the master

    def _on_report(self, data: dict[str, Any], **_: Any) -> None:
        if not self._slices and self._totals is None:
            return
        data["asgibench"] = {
            "worker": self._name,
            "run": self._run,
            "slices": self._slices,
            "totals": self._totals,
        }
        self._slices, self._totals = [], None


class SimulatedConnection(User):  # type: ignore[misc]  # Locust has no types
    """One of Locust's users: it holds one of the engine's connections by being there."""

    def on_start(self) -> None:
        self.environment.asgibench_worker.change_users(+1)

    def on_stop(self) -> None:
        self.environment.asgibench_worker.change_users(-1)

    @task  # type: ignore[untyped-decorator]
    def hold(self) -> None:
        gevent.event.Event().wait()


def _pin(cores: str) -> None:
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def _leave_locusts_settings() -> None:
    """Variables of the user's that Locust would read while it runs; its own time-outs, by the wall clock."""
    for name in [name for name in os.environ if name.startswith("LOCUST_")]:
        del os.environ[name]
    runners.WORKER_REPORT_INTERVAL = _REPORT_INTERVAL_SECONDS
    runners.MASTER_HEARTBEAT_TIMEOUT = float("inf")


@events.init.add_listener  # type: ignore[untyped-decorator]
def _become_worker(environment: Any, **_: Any) -> None:
    _pin(os.environ.get("ASGIBENCH_CORES", ""))
    worker = LoadWorker(environment, os.environ["ASGIBENCH_WORKER"], Path(os.environ["ASGIBENCH_SPOOL"]))
    environment.asgibench_worker = worker
    worker.serve()


_leave_locusts_settings()
