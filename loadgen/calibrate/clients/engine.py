"""Our engine under the real distribution: a Locust master and a load worker, every answer checked."""

from __future__ import annotations

import contextlib
import time

from bench.environment.calibration import ClientFigure, client_figure
from bench.errors import AsgibenchError
from loadgen.calibrate.ready import ADDRESS, CONNECTIONS, WARMUP_SECONDS, ReadyHost
from loadgen.calibrate.static import load_of_file
from loadgen.stats import StoppedRun, cut_window
from testapp.workload import Workload

EPOCH_LEAD_SECONDS = 0.1
WATCH_SECONDS = 0.1


def by_engine(host: ReadyHost, workload: Workload, run: str) -> ClientFigure:
    """Raises LoadError."""
    epoch = time.monotonic() + EPOCH_LEAD_SECONDS
    end = epoch + WARMUP_SECONDS + host.window_seconds
    spec = load_of_file(
        workload,
        ADDRESS,
        host.origin.port,
        epoch=epoch,
        clock_offsets=dict.fromkeys(host.cluster.worker_hosts, host.clock_offset_seconds),
    )
    try:
        host.cluster.start_run(run, spec, CONNECTIONS, None)
        while time.monotonic() < end:
            host.cluster.check_running()
            time.sleep(min(WATCH_SECONDS, max(0.0, end - time.monotonic())))
        stopped = host.cluster.stop_run()
    except BaseException:
        with contextlib.suppress(AsgibenchError):
            host.cluster.abort_run()
        raise
    return _figure(host, workload, stopped)


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
