"""What every load worker of ours has in common: its place between Locust's master and its own disk.

Shipped beside locustfile.py and user_locustfile.py, which say how the load itself is made; standard library
and Locust. In the environment: ASGIBENCH_WORKER (a name that is unique), ASGIBENCH_SPOOL (an existing folder)
and optionally ASGIBENCH_CORES ("1", "2,3": pinned to them where the system can). Messages: protocol.md.
"""

from __future__ import annotations

import json
import logging
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, TextIO

import gevent
from locust import runners

_REPORT_INTERVAL_SECONDS = 0.5
_MASTER_TIMEOUT_SECONDS = 6
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


class LoadWorker(ABC):
    """One worker between its master and whatever makes the load: slices go to the spool and to the master."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._runner = environment.runner
        self._name = os.environ["ASGIBENCH_WORKER"]
        self._spool_folder = Path(os.environ["ASGIBENCH_SPOOL"])
        self._run = ""
        self._running = False
        self._slices: list[dict[str, Any]] = []
        self._totals: dict[str, Any] | None = None
        self._locust_cpu_seconds = 0.0
        self._locust_cpu_mark = time.process_time()
        self._heard_at = time.monotonic()
        self._spool: Spool

    @abstractmethod
    def begin(self, spec: dict[str, Any], index: int, workers: int) -> None:
        """A run has been ordered; Locust's users come next."""

    @abstractmethod
    def end(self) -> None:
        """Bring the run to its end; ``take_totals`` is called when it is there. Returns at once."""

    def serve(self, **introduction: Any) -> None:
        """Register with Locust and make ourselves known to the master."""
        self._runner.register_message("asgibench_run", self._on_run)
        self._runner.register_message("asgibench_stop", self._on_stop)
        self._environment.events.report_to_master.add_listener(self._on_report)
        self._environment.events.heartbeat_received.add_listener(self._on_heartbeat)
        gevent.spawn(self._watch_master)
        self._runner.send_message("asgibench_hello", {"worker": self._name, **introduction})

    # From the master

    def _on_run(self, msg: Any, **_: Any) -> None:
        data = msg.data
        self._run, self._running = data["run"], True
        self._slices, self._totals = [], None
        self._locust_cpu_seconds, self._locust_cpu_mark = 0.0, time.process_time()
        # Locust drops a spawn order that is "older" than the last: a controller's clock may be set back.
        self._runner.last_received_spawn_timestamp = 0
        self._spool = Spool(self._spool_folder, self._run, self._name)
        self.begin(data["spec"], data["index"], data["workers"])

    def _on_stop(self, msg: Any, **_: Any) -> None:
        if self._running and msg.data["run"] == self._run:
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
        self._runner.send_message("asgibench_connections", {"run": self._run, "connections": connections})

    def tell_failed(self, message: str) -> None:
        self._runner.send_message("asgibench_failed", {"run": self._run, "message": message})

    def take_slice(self, slice_: dict[str, Any]) -> None:
        cpu_seconds = time.process_time()
        slice_["locust_cpu_seconds"] = cpu_seconds - self._locust_cpu_mark
        self._locust_cpu_seconds += slice_["locust_cpu_seconds"]
        self._locust_cpu_mark = cpu_seconds
        self._spool.append(slice_)
        self._slices.append(slice_)

    def take_totals(self, totals: dict[str, Any]) -> None:
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


def pin() -> None:
    """To the cores of ASGIBENCH_CORES, where the system can."""
    cores = os.environ.get("ASGIBENCH_CORES", "")
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def leave_locusts_settings() -> None:
    """Variables of the user's that Locust would read while it runs; its own time-outs, by the wall clock."""
    for name in [name for name in os.environ if name.startswith("LOCUST_")]:
        del os.environ[name]
    runners.WORKER_REPORT_INTERVAL = _REPORT_INTERVAL_SECONDS
    runners.MASTER_HEARTBEAT_TIMEOUT = float("inf")


def core_wait_seconds(pid: int | None = None) -> float:
    """How long a process, this one by default, has been ready to run while its core had others.

    0 where the system doesn't tell. A client that is always busy uses less than its core where it has to
    share it, and is no less the limit.
    """
    try:
        return int(Path(f"/proc/{pid or 'self'}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0
