"""Our engine under the real distribution: a Locust master and a load worker, every answer checked."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import time

from bench.environment.calibration import ClientFigure, client_figure
from bench.errors import AsgibenchError
from bench.wire.load import Expect, LoadSpec
from loadgen.calibrate.ready import ADDRESS, CONNECTIONS, WARMUP_SECONDS, ReadyHost
from loadgen.calibrate.static import SEED, body_of
from loadgen.endpoints import endpoint_of
from loadgen.stats import StoppedRun, cut_window
from loadgen.traffic import WorkloadTraffic
from testapp.workload import Workload

EPOCH_LEAD_SECONDS = 0.1
WATCH_SECONDS = 0.1
HASH_SAMPLE_EVERY = 1_000


def by_engine(host: ReadyHost, workload: Workload, run: str) -> ClientFigure:
    """Raises LoadError."""
    epoch = time.time() + EPOCH_LEAD_SECONDS
    end = epoch + WARMUP_SECONDS + host.window_seconds
    try:
        host.cluster.start_run(run, load_spec(host, workload, epoch), CONNECTIONS, None)
        while time.time() < end:
            host.cluster.check_running()
            time.sleep(min(WATCH_SECONDS, max(0.0, end - time.time())))
        stopped = host.cluster.stop_run()
    except BaseException:
        with contextlib.suppress(AsgibenchError):
            host.cluster.abort_run()
        raise
    return _figure(host, workload, stopped)


def load_spec(host: ReadyHost, workload: Workload, epoch: float) -> LoadSpec:
    """What a benchmark's run asks, tokens in rotation too; each answer is the one file of the workload."""
    body = body_of(workload)
    spec = WorkloadTraffic(workload, endpoint_of(workload), SEED).load_spec(
        ADDRESS,
        host.origin.port,
        epoch=epoch,
        hash_sample_every=HASH_SAMPLE_EVERY,
        clock_offsets=dict.fromkeys(host.cluster.worker_hosts, host.clock_offset_seconds),
    )
    expect = Expect(length=len(body), body_sha256=(hashlib.sha256(body).hexdigest(),))
    return dataclasses.replace(spec, expect=expect)


def _figure(host: ReadyHost, workload: Workload, stopped: StoppedRun) -> ClientFigure:
    window = cut_window(
        stopped.slices,
        host.cluster.worker_hosts,
        warmup_seconds=WARMUP_SECONDS,
        window_seconds=host.window_seconds,
    )
    answered = sum(totals.answered for totals in stopped.totals.values())
    if window.failures or window.gaps or not window.requests or answered != stopped.locust.requests:
        raise host.client_failed(
            f"engine on {workload.name}",
            f"failures {window.failures}, seconds missing {window.gaps}, {window.requests} requests; "
            f"{answered} by the engine, {stopped.locust.requests} by Locust",
        )
    shares = sum(worker.engine_core_share + worker.locust_core_share for worker in window.workers)
    return client_figure(window.requests, window.seconds, shares * window.seconds)
