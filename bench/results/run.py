"""One run's run.json. Versioned and immutable; a field's unit is in its name or beside it."""

from __future__ import annotations

import msgspec

from bench.judge.reason import Limit, Reason
from bench.results.answers import AnswersSeen
from bench.results.attempts import EarlierAttempt
from bench.results.balancer import BalancerUse
from bench.results.cell import Cell
from bench.results.clocks import RunClocks
from bench.results.figures import (
    Bytes,
    Counts,
    DatabaseUse,
    LoadWorker,
    MemoryPoint,
    NetworkUse,
    OpenLoop,
    Second,
    Timing,
    TreeCpu,
)
from bench.results.growth import Growth
from bench.results.latency import Latency, borne_by
from bench.results.proof import SettingProof
from bench.results.quota import QuotaUse
from bench.results.reached import SocketMemory, TlsUse
from bench.results.speed import MachineSpeed

RESULT_VERSION = 1
"""Raised only by a change with which older results can't be read: the store refuses another version.

A new field has a default, which is what it is in results that were written before it.
"""


class RunResult(msgspec.Struct, frozen=True):
    """One cell measured once. None: it could not be measured, and ``reasons`` says why if that matters."""

    version: int  # RESULT_VERSION
    run_id: str  # of the plan; names the run's folder
    cell: Cell
    block: int  # from 1: each block measures every cell once
    position: int  # in the plan's order, from 0
    started_at: str  # ISO 8601, UTC
    server_version: str  # of its package
    server_command: tuple[str, ...]  # as it was started, in words
    server_settings: dict[str, str | int | bool]  # what the plan asks for
    unhonoured_settings: dict[str, str]  # setting: why this server doesn't do it
    server_pids: tuple[int, ...]  # of its workers
    server_configuration: dict[str, str | int | bool | None]  # as the running server reported it
    requests: int  # answered in full, in the window
    failures: dict[str, int]  # requests by kind of failure, in the window
    requests_per_second: float  # answered in full, over the window
    bytes_per_second: float  # received by the load workers, over the window
    # Of good requests in the window, and of those that never got an answer; None: there was no good one.
    latency_seconds: Latency | None
    seconds: tuple[Second, ...]  # of the warm-up and the window
    memory: tuple[MemoryPoint, ...]  # from idle to after the load, a few a second
    rss_bytes: Bytes
    pss_bytes: Bytes | None  # None: the system has no PSS
    uss_bytes: Bytes | None  # None: the system has no USS
    server_cpu: TreeCpu | None  # in the window
    database_cpu: TreeCpu | None  # in the window; None also where there is none of ours
    cpu_seconds_per_request: float | None  # of the server, in the window
    load_workers: tuple[LoadWorker, ...]
    agent_core_share: dict[str, float]  # what measuring took on each host; 1.0 is a core in full
    counts: Counts
    database: DatabaseUse | None  # None: the endpoint uses none
    timing: Timing
    limit: Limit  # what held the run back
    valid: bool  # no reason invalidates it
    reasons: tuple[Reason, ...]  # what a reader must know of it
    proof: tuple[SettingProof, ...] = ()  # of each setting of the server; empty: not known
    machine_speed: MachineSpeed | None = None  # by the yardstick, in both rests; None: it wasn't read
    attempt: int = 1  # from 1; 2 where the first try failed or was spoilt
    rss_growth: Growth | None = None  # in the window; None: it was not sampled, or not kept
    quotas: tuple[QuotaUse, ...] = ()  # CPU quotas that held any of our processes in the window
    earlier_attempts: tuple[EarlierAttempt, ...] = ()  # in their order; () also in older results
    clocks: RunClocks | None = None  # what they did within the run; None: not known
    network: dict[str, NetworkUse] = {}  # by host, in the window
    open_loop: OpenLoop | None = None  # None: closed loop
    answers: AnswersSeen | None = None  # in the window; None: not known
    tls: TlsUse | None = None  # None: without TLS, or the client doesn't tell
    sockets: SocketMemory | None = None  # None: connections didn't rest open, or it was not sampled
    # That each of the server's processes counted in the whole run, those that answered none left out; (): not
    # known.
    worker_requests: tuple[int, ...] = ()
    balancer: BalancerUse | None = None  # None: nothing stood between load and server

    def as_earlier_attempt(self) -> EarlierAttempt:
        """What is kept of it where another try counts in its place."""
        latency = self.latency_seconds
        return EarlierAttempt(
            attempt=self.attempt,
            started_at=self.started_at,
            requests_per_second=self.requests_per_second,
            p99_seconds=None if latency is None else latency.p99,
            cpu_seconds_per_request=self.cpu_seconds_per_request,
            failures=sum(self.failures.values()),
            limit=self.limit.name,
            reasons=tuple(sorted(self.reasons, key=lambda reason: not reason.invalidates)),
        )


def borne_run(run: RunResult) -> RunResult:
    """The run without the percentiles that its requests are too few for, which older results have."""
    count = run.requests + sum(run.failures.values())
    found = run.open_loop
    if found is not None:
        found = msgspec.structs.replace(
            found,
            service_latency_seconds=borne_by(found.service_latency_seconds, count),
            send_lag_seconds=borne_by(found.send_lag_seconds, count),
        )
    return msgspec.structs.replace(run, latency_seconds=borne_by(run.latency_seconds, count), open_loop=found)
