"""The load of one run: what is asked for, started, watched, stopped."""

from __future__ import annotations

import contextlib
import math
import time

from bench.errors import AsgibenchError, LoadError, ServerStartError
from bench.plan.plan import PlannedRun
from bench.spec import ENDPOINTS, Endpoint, Profile
from bench.wire.load import Expect, LoadSpec, Rotate
from loadgen.live import LiveSeconds
from loadgen.stats import StoppedRun
from remote.server import log_tail
from reports.progress import LiveFigures, Progress
from session.stage import Stage

EPOCH_LEAD_SECONDS = 0.1


WATCH_SECONDS = 0.5


REQUEST_TIMEOUT_SECONDS = 10


HASH_SAMPLE_EVERY = 100


def drive_load(
    stage: Stage,
    run: PlannedRun,
    rate: float | None,
    label: str,
    endpoint: Endpoint,
    progress: Progress,
) -> tuple[StoppedRun, float, float, float]:
    """(the load's data, its epoch, when it was told to stop, when all was collected), on our clock."""
    profile = stage.plan.profile
    live = LiveSeconds(len(stage.cluster.worker_hosts))
    epoch = time.time() + EPOCH_LEAD_SECONDS
    end = epoch + profile.warmup_seconds + profile.window_seconds
    spec = _load_spec(stage, run, rate, endpoint, epoch)
    try:
        stage.cluster.start_run(label, spec, run.cell.connections, live.take)
        _check_ramp(time.time() - epoch, profile)
        while (now := time.time()) < end:
            stage.cluster.check_running()
            _check_server(stage, run)
            _show(stage, live, now - epoch, progress)
            time.sleep(min(WATCH_SECONDS, max(0.0, end - time.time())))
        load_stopped = time.time()
        stopped = stage.cluster.stop_run()
    except BaseException:
        with contextlib.suppress(AsgibenchError):
            stage.cluster.abort_run()
        raise
    return stopped, epoch, load_stopped, time.time()


def _check_ramp(took_seconds: float, profile: Profile) -> None:
    """All connections are there before the window begins, or the run says nothing. Raises LoadError."""
    if took_seconds > profile.warmup_seconds:
        raise LoadError(
            f"the load took {took_seconds:.1f} s to start, longer than the warm-up",
            remedy="see what keeps the load hosts busy, or use a profile with a longer warm-up",
        )


def _load_spec(
    stage: Stage, run: PlannedRun, rate: float | None, endpoint: Endpoint, epoch: float
) -> LoadSpec:
    workers = stage.cluster.worker_hosts
    rotate = None
    if endpoint.rotates_tokens or endpoint.is_users_own:
        rotate = Rotate("Authorization", stage.tokens, prefix="Bearer ")
    return LoadSpec(
        host=stage.fleet.server.host.address,
        port=stage.port,
        path=endpoint.path,
        epoch=epoch,
        headers={"User-Agent": "asgibench", "Accept": "*/*"},
        rotate=rotate,
        expect=Expect(
            length=endpoint.length_bytes, body_sha256=tuple(stage.body_sha256.get(endpoint.name, ()))
        ),
        hash_sample_every=HASH_SAMPLE_EVERY,
        timeout_seconds=REQUEST_TIMEOUT_SECONDS,
        clock_offsets={worker: stage.clock_offsets[name] for worker, name in workers.items()},
        counted_paths=tuple(one.path for one in ENDPOINTS),
        mode="closed" if rate is None else "open",
        rate_per_second=rate,
        arrivals=stage.plan.profile.arrivals,
        seed=stage.plan.seed + run.position,
        max_backlog=0 if rate is None else _max_backlog(rate, len(workers)),
    )


def _max_backlog(rate_per_second: float, workers: int) -> int:
    """Of one worker. What has waited as long as an answer may take is given up."""
    return math.ceil(rate_per_second * REQUEST_TIMEOUT_SECONDS / workers)


def _check_server(stage: Stage, run: PlannedRun) -> None:
    status = stage.fleet.server.exit_status("server")
    if status is not None:
        raise ServerStartError(
            f"{run.cell.server} ended in mid-run with status {status}",
            remedy="the end of its log follows",
            detail=log_tail(stage.fleet.server),
        )


def _show(stage: Stage, live: LiveSeconds, since_epoch: float, progress: Progress) -> None:
    profile = stage.plan.profile
    if since_epoch < profile.warmup_seconds:
        name, second, length = "warm-up", max(0.0, since_epoch), profile.warmup_seconds
    else:
        name, second, length = "window", since_epoch - profile.warmup_seconds, profile.window_seconds
    latest = live.latest()
    figures = LiveFigures()
    # Each look crosses to the measured host: only for eyes that see it.
    if latest is not None and progress.is_live:
        sums = stage.agents.peek(stage.fleet.server.host.name).get("server")
        figures = LiveFigures(
            requests_per_second=latest.requests,
            p99_seconds=latest.p99_seconds,
            failures=live.failures,
            rss_bytes=None if sums is None else sums.rss_bytes,
            server_core_share=None if sums is None else sums.core_share,
            load_core_share=latest.core_share,
        )
    progress.phase(name, second, length, figures)
