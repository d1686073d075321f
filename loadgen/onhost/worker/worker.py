"""What every load worker has in common: its place between Locust's master and its own disk.

engine_worker.py and users.py say how the load itself is made. Contract: ``locust --worker -f <the locustfile
of a client> --master-host H --master-port P``, with the folder that has this tree in PYTHONPATH and in the
environment ASGIBENCH_WORKER (a name that is unique), ASGIBENCH_SPOOL (an existing folder) and optionally
ASGIBENCH_CORES ("1", "2,3": pinned to them where the system can). The messages are those of
bench/wire/worker.py. The process ends when its master does (within 6 s) or when Locust's master says quit.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO

import gevent
from locust import runners

from bench.wire import worker as wire
from bench.wire.codec import encode_line, from_plain, to_plain
from bench.wire.slices import Slice, Totals

_REPORT_INTERVAL_SECONDS = 0.5
_MASTER_TIMEOUT_SECONDS = 6
_logger = logging.getLogger(__name__)


class Spool:
    """The worker's own copy of a run, on its own disk; bench/wire/worker.py says what the lines are."""

    def __init__(self, folder: Path, run: str, worker: str) -> None:
        self._file: BinaryIO = (folder / f"{run.replace('/', '_')}.jsonl").open("wb")
        self.append(wire.SpoolHead(run, worker))

    def append(self, line: object) -> None:
        self._file.write(encode_line(line))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class LocustWorker(ABC):
    """One worker between its master and whatever makes the load: slices go to the spool and to the master."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._runner = environment.runner
        self._name = os.environ["ASGIBENCH_WORKER"]
        self._spool_folder = Path(os.environ["ASGIBENCH_SPOOL"])
        self._run = ""
        self._running = False
        self._slices: list[Slice] = []
        self._totals: Totals | None = None
        self._locust_cpu_seconds = 0.0
        self._locust_cpu_mark = time.process_time()
        self._core_wait_mark = 0.0
        self._heard_at = time.monotonic()
        self._spool: Spool

    @property
    def sender_pid(self) -> int | None:
        """The process that sends the requests; None: this one."""
        return None

    @abstractmethod
    def begin(self, order: wire.RunOrder) -> None:
        """A run has been ordered; Locust's users come next."""

    @abstractmethod
    def end(self) -> None:
        """Bring the run to its end; ``take_totals`` is called when it is there. Returns at once."""

    def serve(self, user_classes: tuple[tuple[str, float, int], ...] | None = None) -> None:
        """Register with Locust and make ourselves known to the master; ``user_classes`` as in WorkerHello."""
        self._runner.register_message(wire.RUN, self._on_run)
        self._runner.register_message(wire.STOP, self._on_stop)
        self._environment.events.report_to_master.add_listener(self._on_report)
        self._environment.events.heartbeat_received.add_listener(self._on_heartbeat)
        gevent.spawn(self._watch_master)
        self._send(wire.HELLO, wire.WorkerHello(self._name, user_classes))

    # From the master

    def _on_run(self, msg: Any, **_: Any) -> None:
        order = from_plain(wire.RunOrder, msg.data)
        self._run, self._running = order.run, True
        self._slices, self._totals = [], None
        self._locust_cpu_seconds, self._locust_cpu_mark = 0.0, time.process_time()
        self._core_wait_mark = core_wait_seconds(self.sender_pid)
        # Locust drops a spawn order that is "older" than the last: a controller's clock may be set back.
        self._runner.last_received_spawn_timestamp = 0
        self._spool = Spool(self._spool_folder, self._run, self._name)
        self.begin(order)

    def _on_stop(self, msg: Any, **_: Any) -> None:
        if self._running and from_plain(wire.StopOrder, msg.data).run == self._run:
            self.end()

    def _on_heartbeat(self, **_: Any) -> None:
        self._heard_at = time.monotonic()

    def _watch_master(self) -> None:
        while time.monotonic() - self._heard_at < _MASTER_TIMEOUT_SECONDS:
            gevent.sleep(1)
        _logger.error("The master has not been heard of for %s s: ending", _MASTER_TIMEOUT_SECONDS)
        self._runner.quit()

    # From the load

    def tell_connections(self, connections: int) -> None:
        self._send(wire.CONNECTIONS, wire.WorkerConnections(self._run, connections))

    def tell_failed(self, message: str) -> None:
        self._send(wire.FAILED, wire.WorkerFailed(self._run, message))

    def take_slice(self, one: Slice) -> None:
        """A slice that is over, but for what is added here: this process's CPU, and the wait for a core."""
        cpu_seconds, waited_seconds = time.process_time(), core_wait_seconds(self.sender_pid)
        used = cpu_seconds - self._locust_cpu_mark
        # Where another process than the sender of the slices sends the requests, they have its wait.
        waited = one.core_wait_seconds or waited_seconds - self._core_wait_mark
        one = dataclasses.replace(one, locust_cpu_seconds=used, core_wait_seconds=waited)
        self._locust_cpu_seconds += used
        self._locust_cpu_mark, self._core_wait_mark = cpu_seconds, waited_seconds
        self._spool.append(one)
        self._slices.append(one)

    def take_totals(self, totals: Totals) -> None:
        """The run is over."""
        self._running = False
        self._totals = dataclasses.replace(totals, locust_cpu_seconds=self._locust_cpu_seconds)
        self._spool.append(wire.SpoolTotals(self._totals))
        self._spool.close()
        self._runner._send_stats()  # now, and not half a second later; Locust has no public name for it

    def take_failure(self, message: str) -> None:
        """The run can't go on."""
        self._running = False
        self._spool.append(wire.SpoolFailure(message))
        self._spool.close()
        self.tell_failed(message)

    # To the master

    def _send(self, name: str, message: object) -> None:
        self._runner.send_message(name, to_plain(message))

    def _on_report(self, data: dict[str, Any], **_: Any) -> None:
        if not self._slices and self._totals is None:
            return
        report = wire.WorkerReport(self._name, self._run, tuple(self._slices), self._totals)
        data[wire.REPORT] = to_plain(report)
        self._slices, self._totals = [], None


def pin() -> None:
    """To the cores of ASGIBENCH_CORES, where the system can."""
    cores = os.environ.get("ASGIBENCH_CORES", "")
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def isolate_from_settings() -> None:
    """Set what Locust reads while it runs to what a load worker needs.

    Deletes the user's LOCUST_* variables, lets Locust report to the master every 0.5 s, and switches off its
    own time-out for the master: it goes by the wall clock, which may be set; ours is in ``LocustWorker``.
    """
    for name in [name for name in os.environ if name.startswith("LOCUST_")]:
        del os.environ[name]
    runners.WORKER_REPORT_INTERVAL = _REPORT_INTERVAL_SECONDS
    runners.MASTER_HEARTBEAT_TIMEOUT = float("inf")


def core_wait_seconds(pid: int | None = None) -> float:
    """How long a process, this one by default, has been ready to run while its core had others.

    0 where the system doesn't tell. A client that has to share its core uses less than all of it, and may be
    what limits the throughput all the same.
    """
    try:
        return int(Path(f"/proc/{pid or 'self'}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0
