"""Between Locust's master and a load worker: Locust's custom messages, and what a worker's spool holds.

A custom message's data is the type's fields (bench.wire.codec.to_plain). Slices and totals travel in Locust's
own statistics report, so that Locust's counters and ours arrive together.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.wire.load import LoadSpec
from bench.wire.slices import Slice, Totals

# The names of the custom messages.
RUN, STOP = "asgibench_run", "asgibench_stop"
HELLO, CONNECTIONS, FAILED = "asgibench_hello", "asgibench_connections", "asgibench_failed"
# The key in Locust's statistics report.
REPORT = "asgibench"


@dataclass(frozen=True, slots=True)
class RunOrder:
    """RUN, master to worker: get ready; Locust's users come next."""

    run: str
    spec: LoadSpec
    index: int  # this worker is number ``index``, from 0,
    workers: int  # of so many


@dataclass(frozen=True, slots=True)
class StopOrder:
    """STOP, master to worker: end this run, and report its totals."""

    run: str


@dataclass(frozen=True, slots=True)
class WorkerHello:
    """HELLO, worker to master: ready for runs."""

    worker: str  # its name, unlike that of any other worker
    # (name, weight, fixed count) of each User class of a locustfile; None: the engine makes the load.
    user_classes: tuple[tuple[str, float, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class WorkerConnections:
    """CONNECTIONS, worker to master: so many connections are held in this run."""

    run: str
    connections: int


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """FAILED, worker to master: what makes the load can't go on."""

    run: str
    message: str


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """REPORT, worker to master: the slices that are over since the last report."""

    worker: str
    run: str
    slices: tuple[Slice, ...]
    totals: Totals | None  # once the run is over


@dataclass(frozen=True, slots=True)
class SpoolHead:
    """The first line of a spool, the worker's own copy of a run: RUN.jsonl, each "/" of the name as "_".

    Then comes a Slice a line, and at the end a SpoolTotals or a SpoolFailure.
    """

    run: str
    worker: str


@dataclass(frozen=True, slots=True)
class SpoolTotals:
    totals: Totals


@dataclass(frozen=True, slots=True)
class SpoolFailure:
    failed: str  # the message of WorkerFailed
