"""Believable results for the tests of what is made of them. The same arguments give the same results."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bench.environment.hosts import Host, HostFacts
from bench.judge.reason import Limit, Reason
from bench.judge.rules.hosts import CpuStolen
from bench.judge.rules.load import LoadSharesCores, LoadWorkerAtLimit
from bench.judge.rules.network import DelayedAckSuspected
from bench.judge.rules.rates import ServerBehindRate
from bench.plan.plan import PLAN_VERSION, Environment, Plan, PlannedRun, plan_runs
from bench.results.figures import (
    Bytes,
    Counts,
    DatabaseUse,
    LoadWorker,
    MemoryPoint,
    OpenLoop,
    Second,
    Timing,
    TreeCpu,
)
from bench.results.latency import Latency
from bench.results.run import RESULT_VERSION, RunResult, borne_run
from bench.results.store import Store
from bench.spec import Profile, ServerSpec, Settings
from bench.wire.histogram import index_of
from tests.helpers.endpoints import ENDPOINTS

RATES = {
    ("uvicorn", "shortbody"): 15_980.0,
    ("uvicorn", "longbody"): 6_420.0,
    ("uvicorn", "orders"): 3_362.0,
    ("daphne", "shortbody"): 4_180.0,
    ("daphne", "longbody"): 1_431.0,
    ("daphne", "orders"): 1_598.0,
    ("hypercorn", "shortbody"): 3_452.0,
    ("hypercorn", "longbody"): 2_551.0,
    ("hypercorn", "orders"): 1_613.0,
}
MEGABYTES = {"uvicorn": 57.0, "daphne": 71.0, "hypercorn": 84.0}
VERSIONS = {"uvicorn": "0.54.0", "daphne": "4.2.3", "hypercorn": "0.18.0"}
SERVERS = (
    ServerSpec(
        name="uvicorn",
        package="uvicorn",
        environment_group="server-uvicorn",
        command=("uvicorn", "{app}", "--host", "{host}", "--port", "{port}"),
        title="Uvicorn",
        settings=Settings(loop="uvloop", http_parser="httptools"),
        licence="BSD-3-Clause",
    ),
    ServerSpec(
        name="daphne",
        package="daphne",
        environment_group="server-daphne",
        command=("daphne", "-e", "tcp:port={port}:interface={host}", "{app}"),
        title="Daphne",
        max_workers=1,
        unhonoured_settings={"keep_alive_seconds": "daphne has no such option; it closes after 60 s"},
        licence="BSD-3-Clause",
    ),
    ServerSpec(
        name="hypercorn",
        package="hypercorn",
        environment_group="server-hypercorn",
        command=("hypercorn", "{app}", "-b", "{host}:{port}"),
        title="Hypercorn",
        licence="MIT",
    ),
)
REVIEW = Profile("review", 50, 5, 20, 5, 2.0, 3.0, description="repeats, for a decision")
RATED = Profile("rated", 50, 2, 6, 3, 1.0, 1.0, rates=("500", "2000", "50%"))
QUICK = Profile("quick", 50, 2, 6, 1, 1.0, 1.0, description="one run each")

PAPER = Profile(
    "paper",
    50,
    3,
    5,
    1,
    0.5,
    0.5,
    load_workers_in_all=6,
    clients=("http_user", "fast_http_user", "engine"),
    load_on=("server", "loadgen"),
)
CLIENT_LIMITS = {"http_user": 1_360.0, "fast_http_user": 4_560.0, "engine": 60_000.0}


@dataclass(frozen=True)
class Example:
    plan: Plan
    environment: Environment
    runs: tuple[RunResult, ...]

    def save(self, root: Path) -> Store:
        store = Store.create(root, self.plan.name, self.plan)
        store.write_environment(self.environment)
        for run in self.runs:
            store.write_run(run, {"histogram.json": histograms(run), "server.log": b"started\n"})
        return store

    def changed(
        self, where: Callable[[RunResult], bool], change: Callable[[RunResult], RunResult]
    ) -> Example:
        return replace(self, runs=tuple(change(run) if where(run) else run for run in self.runs))


def example(
    profile: Profile = REVIEW,
    *,
    name: str = "2026-11-24-0912",
    servers: Sequence[ServerSpec] = SERVERS,
    noise: float = 0.012,
    system: str = "Linux",
    shared_host: bool = False,
) -> Example:
    """All fine: every planned run done and valid. ``system`` Darwin: no PSS, no pinning."""
    runs, skipped = plan_runs(servers, ENDPOINTS, profile, "lab", seed=7)
    plan = Plan(
        version=PLAN_VERSION,
        name=name,
        environment="lab",
        inventory_path="inventory/lab.yml",
        profile=profile,
        servers=tuple(servers),
        endpoints=ENDPOINTS,
        seed=7,
        runs=runs,
        skipped=skipped,
        command=("invoke", "bench", "--hosts", "lab", "--profile", profile.name),
        created_at="2026-11-24T09:12:00Z",
        lock_sha256="5f" * 32,
        asgibench_version="0.1.0",
    )
    return Example(
        plan,
        environment(system, shared_host=shared_host),
        tuple(borne_run(run_result(planned, profile, noise, system)) for planned in runs),
    )


def generator_at_its_limit(base: Example, server: str, endpoint: str) -> Example:
    """Every run of one cell has a load worker that used all of its core."""
    reason = Reason(
        "load_generator_saturated",
        "the load generator used 97 % of its cores",
        "Add load hosts or load workers",
        invalidates=True,
    )

    def change(run: RunResult) -> RunResult:
        workers = tuple(
            msgspec.structs.replace(worker, engine_core_share=0.95, locust_core_share=0.02)
            for worker in run.load_workers
        )
        return msgspec.structs.replace(
            run,
            valid=False,
            load_workers=workers,
            limit=Limit("load_generator", "the load workers had no CPU left"),
            reasons=(*run.reasons, reason),
        )

    return base.changed(is_cell(server, endpoint), change)


def papers_method() -> Example:
    """The paper's method beside the usual one: slow clients, shared cores, TCP, and one void run."""

    def change(run: RunResult) -> RunResult:
        cell = run.cell
        if cell.load_on == "server":
            taken = 0.5 if cell.client == "engine" else 0.2
            shares = LoadSharesCores(0.45, 0.53, 1.0, invalidates=False)
            return _slower(run, run.requests_per_second * taken, "load_generator", shares.as_reason())
        if (cell.server, cell.endpoint) == ("hypercorn", "shortbody"):
            tcp = DelayedAckSuspected(0.0441, 0.33)
            return _slower(run, 1_120.0, "latency", tcp.as_reason())
        most = CLIENT_LIMITS[cell.client]
        if run.requests_per_second <= most:
            return run
        busy = LoadWorkerAtLimit("lab-load-1/0", 0.97, invalidates=False, server_saturated=False)
        return _slower(run, most, "load_generator", busy.as_reason())

    def void(run: RunResult) -> RunResult:
        reason = CpuStolen(0.31, 1.0, invalidates=True).as_reason()
        return msgspec.structs.replace(run, valid=False, reasons=(reason,))

    base = example(PAPER).changed(lambda run: run.cell.is_of_method or run.cell.server == "hypercorn", change)
    return base.changed(lambda run: run.cell.id == "daphne-longbody-w1-c50-http_user-on-server", void)


def _slower(run: RunResult, rate: float, limit: str, reason: Reason) -> RunResult:
    return msgspec.structs.replace(
        run,
        requests_per_second=rate,
        latency_seconds=_latency_of(50 / rate),
        server_cpu=TreeCpu(1.65, 0.33, 1, 1),
        limit=Limit(limit, "as the method has it"),
        reasons=(reason,),
    )


def failing(base: Example, server: str, endpoint: str) -> Example:
    """Every run of one cell answered with errors only."""

    def change(run: RunResult) -> RunResult:
        failed = run.requests
        reason = Reason(
            "failures",
            f"{failed:,} of {failed:,} requests failed: HTTP 500",
            "Read the tail of the server's log in the run's folder",
            invalidates=True,
        )
        return msgspec.structs.replace(
            run,
            valid=False,
            requests=0,
            requests_per_second=0.0,
            latency_seconds=None,
            failures={"HTTP 500": failed},
            reasons=(reason,),
        )

    return base.changed(is_cell(server, endpoint), change)


def is_cell(server: str, endpoint: str) -> Callable[[RunResult], bool]:
    return lambda run: run.cell.server == server and run.cell.endpoint == endpoint


def run_result(planned: PlannedRun, profile: Profile, noise: float, system: str = "Linux") -> RunResult:
    cell = planned.cell
    chance = random.Random(planned.id)
    rate = RATES[cell.server, cell.endpoint] * (1 + chance.gauss(0, noise))
    if cell.is_open_loop:
        closed = PlannedRun(planned.id, cell.closed_loop, planned.block, planned.position)
        return at_a_rate(run_result(closed, profile, noise, system), planned)
    window = profile.window_seconds
    requests = round(rate * window)
    everything = round(rate * (window + profile.warmup_seconds * 0.97))
    spec = next(server for server in SERVERS if server.name == cell.server)
    rss = MEGABYTES[cell.server] * 1e6
    loaded = rss + (9e6 if cell.endpoint == "longbody" else 5e6) + chance.uniform(0, 4e5)
    linux = system == "Linux"
    server_share = 0.995 if cell.endpoint != "orders" else 0.91
    per_worker = rate / 2
    seconds = _seconds(profile, rate, loaded, chance)
    return RunResult(
        version=RESULT_VERSION,
        run_id=planned.id,
        cell=cell,
        block=planned.block,
        position=planned.position,
        started_at=f"2026-11-24T{9 + planned.position // 60:02}:{planned.position % 60:02}:00Z",
        server_version=VERSIONS[cell.server],
        server_command=tuple(
            part.format(app="testapp.app:app", host="198.18.0.2", port=8000) for part in spec.command
        ),
        server_settings=msgspec.structs.asdict(spec.settings),
        unhonoured_settings=spec.unhonoured_settings,
        server_pids=(4_100 + planned.position,),
        server_configuration={
            "loop": f"{spec.settings.loop}.EventLoop",
            "parser": spec.settings.http_parser or "h11",
            "lifespan": cell.server != "daphne",
            "python": "3.11.2",
        },
        requests=requests,
        failures={},
        requests_per_second=rate,
        bytes_per_second=rate * (430_000 if cell.endpoint == "longbody" else 180),
        latency_seconds=Latency(
            p50=50 / rate * 0.97,
            p90=50 / rate * 1.2,
            p99=50 / rate * (1.9 + chance.uniform(0, 0.2)),
            p99_9=50 / rate * (3.4 + chance.uniform(0, 0.5)),
            max=50 / rate * (9 + chance.uniform(0, 6)),
            mean=50 / rate,
            p99_99=50 / rate * 6,
        ),
        seconds=seconds,
        memory=_memory(profile, rss, loaded),
        rss_bytes=Bytes(round(rss), round(loaded), round(loaded + 6e5), round(loaded - 8e5)),
        pss_bytes=Bytes(round(rss * 0.9), round(loaded * 0.91), round(loaded * 0.92)) if linux else None,
        uss_bytes=Bytes(round(rss * 0.88), round(loaded * 0.89), round(loaded * 0.9)),
        server_cpu=TreeCpu(server_share * window, server_share, 1, 1),
        database_cpu=TreeCpu(0.31 * window, 0.31, 1, 9) if cell.endpoint == "orders" else None,
        cpu_seconds_per_request=server_share / rate,
        load_workers=tuple(
            LoadWorker(
                name=f"lab-load-{number}-0",
                host=f"lab-load-{number}",
                requests=requests // 2,
                engine_core_share=min(per_worker / 26_000 + 0.02, 0.9),
                locust_core_share=0.018,
                loop_lag_seconds_max=0.0007,
                connects=25,
                reconnects=0,
                bytes_received=requests * 90,
            )
            for number in (1, 2)
        ),
        agent_core_share={"lab-server": 0.0041, "lab-load-1": 0.0022},
        counts=Counts(everything, everything, everything, everything),
        database=DatabaseUse(2 * everything, everything, 2.0, 13 * everything)
        if cell.endpoint == "orders"
        else None,
        timing=Timing(
            start_seconds=1.4,
            rest_seconds=profile.idle_rest_seconds + profile.after_rest_seconds,
            warmup_seconds=profile.warmup_seconds,
            window_seconds=window,
            stop_seconds=0.6,
            total_seconds=window + profile.warmup_seconds + 7.5,
            overhead_seconds=2.5,
        ),
        limit=Limit("server_cpu", "the server used its one core in full")
        if cell.endpoint != "orders"
        else Limit("none_found", "nothing was at its limit"),
        valid=True,
        reasons=(),
    )


def histograms(run: RunResult) -> bytes:
    """histogram.json of as many requests as the run has, with its percentiles."""
    latency, pairs, below = run.latency_seconds, [], 0
    if latency is not None:
        for percentile, value in latency.percentiles():
            if value is not None:
                rank = math.ceil(percentile.fraction * run.requests)
                pairs.append((index_of(round(value * 1e9)), rank - below))
                below = rank
        pairs.append((index_of(round(latency.max * 1e9)), run.requests - below))
    return msgspec.json.encode({"good": pairs, "failed": []})


def at_a_rate(run: RunResult, planned: PlannedRun) -> RunResult:
    """The closed-loop run's server at a stated rate: quick below its maximum, overloaded above it."""
    maximum = run.requests_per_second
    own = RATES[run.cell.server, run.cell.endpoint]
    offered = planned.cell.rate_per_second or round((planned.cell.rate_share or 1.0) * own)
    achieved = min(float(offered), maximum)
    is_behind = achieved < 0.98 * offered
    quick = 1 / maximum / max(0.02, 1 - achieved / maximum)
    service = _latency_of(quick)
    lag = _latency_of(0.8 if is_behind else 2e-5)
    behind = ServerBehindRate(float(offered), achieved, None, "using 1.00 of 1 core")
    return msgspec.structs.replace(
        run,
        cell=planned.cell,
        requests=round(achieved * run.timing.window_seconds),
        requests_per_second=achieved,
        latency_seconds=_latency_of(0.8 if is_behind else quick),
        limit=Limit("server_cpu" if is_behind else "offered_rate", "as the rate has it"),
        reasons=(behind.as_reason(),) if is_behind else (),
        open_loop=OpenLoop(float(offered), achieved, service, lag, 3, 12 if is_behind else 0, own),
    )


def _latency_of(p50: float) -> Latency:
    return Latency(p50, p50 * 1.4, p50 * 3, p50 * 6, p50 * 9, p50 * 1.1, p50 * 7)


def environment(system: str = "Linux", *, shared_host: bool = False) -> Environment:
    names = ("lab-server",) if shared_host else ("lab-server", "lab-load-1", "lab-load-2")
    loadgen = names if shared_host else names[1:]
    hosts = tuple(
        Host(
            name=name,
            groups=tuple(
                group for group, found in (("server", index == 0), ("loadgen", name in loadgen)) if found
            ),
            ssh_host=f"198.18.0.{index + 2}",
            ssh_user="root",
            ssh_password="correct horse",
            address=f"198.18.0.{index + 2}",
        )
        for index, name in enumerate(names)
    )
    packages = {
        "server-uvicorn": {
            "uvicorn": "0.54.0",
            "uvloop": "0.22.1",
            "httptools": "0.7.1",
            "starlette": "1.0.0",
        },
        "server-daphne": {"daphne": "4.2.3", "twisted": "25.5.0", "starlette": "1.0.0"},
        "server-hypercorn": {"hypercorn": "0.18.0", "h11": "0.16.0", "starlette": "1.0.0"},
    }
    return Environment(
        name="lab",
        server="lab-server",
        loadgen=loadgen,
        database="lab-server",
        hosts=hosts,
        facts={name: _facts(name, system) for name in names},
        versions={
            name: packages if index == 0 else {"load": {"locust": "2.47.1", "gevent": "26.4.0"}}
            for index, name in enumerate(names)
        },
        controller={"system": "Linux 6.1.0", "python": "3.11.2", "asgibench": "0.1.0"},
        placement={"server": "core 0 of lab-server", "database": "core 0 of lab-server", "load": "core 1"},
        database_version="18.6",
    )


def _facts(name: str, system: str) -> HostFacts:
    linux = system == "Linux"
    return HostFacts(
        host=name,
        system=system,
        release="6.1.0-28-amd64" if linux else "25.1.0",
        distribution="Debian GNU/Linux 12" if linux else "",
        architecture="x86_64" if linux else "arm64",
        cpu_model="AMD EPYC 9B14" if linux else "Apple M4",
        cores_total=2 if linux else 10,
        cores_usable=(0, 1) if linux else tuple(range(10)),
        memory_bytes=8_320_000_000 if linux else 17_179_869_184,
        python_version="3.11.2",
        python_path="/usr/bin/python3",
        python_implementation="CPython",
        libc="glibc 2.36" if linux else "",
        macos_version="" if linux else "26.1",
        user="root" if linux else "bench",
        is_root=linux,
        home="/root" if linux else "/Users/bench",
        workdir="/var/tmp/asgibench",
        disk_free_bytes=61_000_000_000,
        boot_id=f"0d9a1c52-{name}" if linux else f"1795512000-{name}",
        cpu_frequency_scaling="powersave" if linux else None,
        open_files_limit=524_288 if linux else 256,
        clock_offset_seconds=0.00012,
        clock_offset_error_seconds=0.0003,
        can_pin=linux,
    )


def _seconds(profile: Profile, rate: float, loaded: float, chance: random.Random) -> tuple[Second, ...]:
    seconds = []
    for second in range(profile.warmup_seconds + profile.window_seconds):
        ramp = 0.85 if second == 0 else 1.0
        answered = round(rate * ramp * (1 + chance.gauss(0, 0.01)))
        rss = round(loaded * (1 - 0.1 * math.exp(-second / 2)))
        in_window = second >= profile.warmup_seconds
        seconds.append(Second(second, in_window, answered, 0, 49 / answered, 95 / answered, rss))
    return tuple(seconds)


def _memory(profile: Profile, idle: float, loaded: float) -> tuple[MemoryPoint, ...]:
    """Four samples a second: idle, climbing under load, resting after it."""
    load_end = profile.warmup_seconds + profile.window_seconds
    start = -round(profile.idle_rest_seconds * 4)
    end = round((load_end + profile.after_rest_seconds) * 4)
    points = []
    for quarter in range(start, end + 1):
        at = quarter / 4
        rss = idle if at < 0 else idle + (loaded - idle) * (1 - math.exp(-at))
        points.append(MemoryPoint(at, round(rss if at < load_end else loaded - 8e5)))
    return tuple(points)
