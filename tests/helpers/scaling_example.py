"""Results of servers with one, two and four workers, by themselves and behind a balancer."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from bench.judge.reason import Limit
from bench.results.balancer import BalancerUse
from bench.results.figures import Bytes, TreeCpu
from bench.results.run import RunResult
from bench.spec import Profile
from tests.helpers.results_example import MEGABYTES, RATES, SERVERS, Example, example

WORKERS = (1, 2, 4)
SCALED = Profile(
    "scaled", 50, 2, 6, 4, 1.0, 1.0, server_workers=WORKERS, balancers=("", "haproxy"), description="scaling"
)
ONCE = msgspec.structs.replace(SCALED, blocks=1)
LISTENING = tuple(
    msgspec.structs.replace(spec, listen={"tcp": (), "unix": ()}, command=(*spec.command, "{listen}"))
    for spec in SERVERS
)
# Of linear, by server and workers; behind the balancer a tenth less.
EFFICIENCY = {"uvicorn": {2: 0.98, 4: 0.96}, "hypercorn": {2: 0.95, 4: 0.93}, "daphne": {2: 0.9, 4: 0.8}}
# What the busiest of the workers answers, over the mean.
UNEVEN = {"uvicorn": 1.04, "hypercorn": 1.5, "daphne": 1.02}
SHARED_MEGABYTES = 20.0
BALANCER_CORE_SHARE = 0.4


def scaled(profile: Profile = SCALED, *, cores: int = 4, noise: float = 0.004) -> Example:
    """All valid; the server's host has ``cores`` for its workers."""
    made = example(profile, servers=LISTENING, noise=noise)
    return replace(made, runs=tuple(_scaled(run, cores) for run in made.runs))


def _scaled(run: RunResult, cores: int) -> RunResult:
    """The run of one worker as one of its cell's workers, on so many cores."""
    cell, workers = run.cell, run.cell.workers
    filled = min(workers, cores)
    factor = filled * EFFICIENCY[cell.server].get(workers, 1.0) * (0.9 if cell.balancer else 1.0)
    rate = run.requests_per_second * factor
    requests = round(rate * run.timing.window_seconds)
    own = MEGABYTES[cell.server] * 1e6
    shared = SHARED_MEGABYTES * 1e6
    rss, pss = round(own * workers), round(own * workers - shared * (workers - 1))
    return msgspec.structs.replace(
        run,
        requests=requests,
        requests_per_second=rate,
        server_pids=tuple(range(10, 10 + workers)),
        server_cpu=TreeCpu(0.98 * filled * run.timing.window_seconds, 0.98 * filled, filled, workers),
        cpu_seconds_per_request=0.98 * filled / rate,
        rss_bytes=Bytes(rss, rss, rss, rss),
        pss_bytes=Bytes(pss, pss, pss, pss),
        limit=Limit("server_cpu", "its cores were full"),
        worker_requests=_shares(requests, workers, UNEVEN[cell.server] if workers > 1 else 1.0),
        balancer=_balancer(run, apart=workers < cores) if cell.balancer else None,
    )


def _shares(requests: int, workers: int, uneven: float) -> tuple[int, ...]:
    most = round(requests / workers * uneven)
    others = (requests - most) // (workers - 1) if workers > 1 else 0
    return (most, *((others,) * (workers - 1)))


def _balancer(run: RunResult, *, apart: bool) -> BalancerUse:
    seconds = run.timing.window_seconds
    return BalancerUse(
        name="haproxy",
        version="2.6.12",
        configuration="global\n",
        is_apart=apart,
        cpu=TreeCpu(BALANCER_CORE_SHARE * seconds, BALANCER_CORE_SHARE, 1, 1),
        rss_bytes=Bytes(9_000_000, 10_000_000, 11_000_000, 10_000_000),
        pss_bytes=Bytes(7_000_000, 8_000_000, 9_000_000, 8_000_000),
        is_pushed=True,
    )


def one_worker_rate(server: str, endpoint: str) -> float:
    """Without a balancer, before the noise."""
    return RATES[server, endpoint]
