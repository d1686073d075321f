"""The load of one run: begun, watched to the window's end, stopped."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping

import msgspec

from bench.errors import LoadError
from bench.judge.thresholds import CLOCK_LIMITS_SECONDS
from bench.plan.plan import Plan
from bench.results.cell import Cell
from bench.spec import Profile
from bench.wire.load import LoadSpec
from loadgen.live import LiveSeconds
from loadgen.overload import lasting_overload
from loadgen.stats import StoppedRun
from loadgen.traffic import REQUEST_TIMEOUT_SECONDS, Traffic
from reports.terminal.progress import LiveFigures, Progress
from session.attempt import Attempt
from session.parties import Parties
from session.parties.server import BegunServer

EPOCH_LEAD_SECONDS = 0.1
WATCH_SECONDS = 0.5
# The load goes on for so much longer than its window: a worker whose clock is known no better still has the
# whole of the window's last second.
SPARE_SECONDS = CLOCK_LIMITS_SECONDS
# Of long bodies: to hash one takes the load worker as long as five to ten others.
HASH_SAMPLE_EVERY = 1_000
HELD_SHARE = 0.5
LEAST_SAVED_SECONDS = 2.0
"""A load whose end is nearer is not ended early."""


class Driven(msgspec.Struct, frozen=True):
    """The load's data, and when it was made, in seconds on our monotonic clock."""

    data: StoppedRun
    # As planned; of a load that was ended early, with the window that was measured and what came before it.
    profile: Profile
    ended_after_seconds: int | None  # None: as planned
    epoch: float  # its second 0
    stopped: float  # when the load workers were told to stop
    collected: float  # when their data was in
    held: tuple[float, float] | None = None  # as in Timeline


def drive_load(
    attempt: Attempt,
    plan: Plan,
    traffic: Traffic,
    server: BegunServer,
    parties: Parties,
    clock_offsets: Mapping[str, float],
    progress: Progress,
) -> Driven:
    """Make the load of warm-up and window, and watch every party meanwhile.

    A load at a rate that can't be met is ended early, and the seconds that show it are the window.

    ``clock_offsets`` are of the hosts' monotonic clocks, each minus ours, in seconds.

    Raises the error of a party that ended, and LoadError where the load began too late.
    """
    profile = plan.profile
    overload: range | None = None
    load = parties.load
    live = LiveSeconds(len(load.worker_hosts))
    epoch = time.monotonic() + EPOCH_LEAD_SECONDS
    end = epoch + _load_seconds(profile)
    spec = _load_spec(attempt, plan, traffic, parties, clock_offsets, epoch)
    try:
        load.begin(attempt.label, spec, attempt.run.cell.connections, live.take)
        ramped = time.monotonic()
        _check_ramp(ramped - epoch, profile)
        while (now := time.monotonic()) < end:
            parties.check(server)
            _show(live, parties, profile, now - epoch, progress)
            overload = _overload(attempt, profile, live, end - now)
            if overload is not None:
                break
            time.sleep(min(WATCH_SECONDS, max(0.0, end - time.monotonic())))
        stopped = time.monotonic()
        data = load.stop()
    except BaseException:
        load.abandon()
        raise
    ended_after = None if overload is None else overload.stop
    # Handshakes last on after the workers have said that they hold so many: the second half is quiet.
    hold_end = epoch + spec.hold_seconds
    held = (max(ramped, (epoch + hold_end) / 2), hold_end)
    return Driven(
        data,
        _measured(profile, overload),
        ended_after,
        epoch,
        stopped,
        time.monotonic(),
        held if spec.hold_seconds and held[0] < hold_end else None,
    )


def _overload(attempt: Attempt, profile: Profile, live: LiveSeconds, left_seconds: float) -> range | None:
    """The seconds that show that the attempt's rate can't be met, where ending it early saves something."""
    if attempt.rate is None or left_seconds < LEAST_SAVED_SECONDS:
        return None
    return lasting_overload(live.seconds(), attempt.rate.per_second, profile.arrivals)


def _measured(profile: Profile, seconds: range | None) -> Profile:
    """The profile with these seconds as its window; ``None``: all went as planned."""
    if seconds is None:
        return profile
    return msgspec.structs.replace(profile, warmup_seconds=seconds.start, window_seconds=len(seconds))


def _check_ramp(took_seconds: float, profile: Profile) -> None:
    """All connections are there before the window begins, or the run says nothing. Raises LoadError."""
    if took_seconds > profile.warmup_seconds:
        raise LoadError(
            f"the load took {took_seconds:.1f} s to start, longer than the warm-up",
            remedy="See what keeps the load hosts busy, or use a profile with a longer warm-up",
        )


def _load_spec(
    attempt: Attempt,
    plan: Plan,
    traffic: Traffic,
    parties: Parties,
    clock_offsets: Mapping[str, float],
    epoch: float,
) -> LoadSpec:
    """What the load workers are to send; ``epoch`` is second 0 on our monotonic clock."""
    workers = parties.load.worker_hosts
    closed = traffic.load_spec(
        parties.server.address,
        parties.server.port,
        epoch=epoch,
        hash_sample_every=HASH_SAMPLE_EVERY,
        clock_offsets={worker: clock_offsets[host] for worker, host in workers.items()},
    )
    cell, certificate = attempt.run.cell, parties.server.certificate
    closed = dataclasses.replace(
        closed,
        seconds=_load_seconds(plan.profile),
        protocol=cell.protocol,
        hold_seconds=_hold_seconds(cell, plan.profile),
        tls=cell.tls,
        tls_certificate=certificate.certificate.decode() if certificate is not None and cell.tls else "",
    )
    if attempt.rate is None:
        return closed
    rate = attempt.rate.per_second
    return dataclasses.replace(
        closed,
        mode="open",
        rate_per_second=rate,
        arrivals=plan.profile.arrivals,
        seed=plan.seed + attempt.run.position,
        max_backlog=_max_backlog(rate, len(workers)),
    )


def _hold_seconds(cell: Cell, profile: Profile) -> float:
    """How much of the warm-up WebSockets rest open, so that their memory is seen; 0.0: they don't.

    At a stated rate requests are due from the start.
    """
    is_held = cell.protocol == "websocket" and not cell.is_open_loop
    return profile.warmup_seconds * HELD_SHARE if is_held else 0.0


def _load_seconds(profile: Profile) -> float:
    return profile.warmup_seconds + profile.window_seconds + SPARE_SECONDS


def _max_backlog(rate_per_second: float, workers: int) -> int:
    """Of one worker. A request that has waited as long as an answer may take is given up."""
    return math.ceil(rate_per_second * REQUEST_TIMEOUT_SECONDS / workers)


def _show(
    live: LiveSeconds, parties: Parties, profile: Profile, since_epoch: float, progress: Progress
) -> None:
    if since_epoch < profile.warmup_seconds:
        name, second, length = "warm-up", max(0.0, since_epoch), profile.warmup_seconds
    else:
        name, second, length = "window", since_epoch - profile.warmup_seconds, profile.window_seconds
    latest = live.latest()
    figures = LiveFigures()
    # Asking an agent loads the measured host: only where the line is redrawn, on a terminal.
    if latest is not None and progress.is_live:
        sums = parties.agents.latest(parties.server.host.host.name, "server")
        figures = LiveFigures(
            requests_per_second=latest.requests,
            p99_seconds=latest.p99_seconds,
            failures=live.failures,
            rss_bytes=None if sums is None else sums.rss_bytes,
            server_core_share=None if sums is None else sums.core_share,
            load_core_share=latest.core_share,
        )
    progress.phase(name, second, length, figures)
