"""The engine, as it is used, beside wrk and FastHttpUser: ``python benchmarks/engine.py``.

nginx serves two static bodies on one core; each client in turn loads it from another. The engine runs as it
does in a benchmark: a Locust master, and a load worker whose two processes share the client's core. wrk runs
with one thread, FastHttpUser in one Locust process. The rounds are interleaved, and ratios are taken within a
round, because machines drift. Beside requests/s stands requests per second of the client's CPU (of a worker,
both processes, less what was polled in vain), which other work on the machine moves less. ``--sweep`` varies
the number of connections.

Needs nginx, and wrk where it is to be had. Linux; pins with taskset.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.wire.ceiling import LocustFigure  # noqa: E402
from bench.wire.codec import decode_line  # noqa: E402
from bench.wire.master import RunStopped, StartRun, StopRun  # noqa: E402
from benchmarks.loopback import LoopbackCluster  # noqa: E402
from loadgen.calibrate.clients.wrk import WITH_CPU, parse_wrk  # noqa: E402
from loadgen.calibrate.origin import NGINX_CONFIGURATION  # noqa: E402
from loadgen.calibrate.ready import ADDRESS, ONHOST  # noqa: E402
from loadgen.calibrate.static import body_of, load_of_file  # noqa: E402
from testapp.workloads import WORKLOADS  # noqa: E402

BODIES = ("shortbody", "longbody")
SETTLE_SECONDS = 1


@dataclass(frozen=True)
class Reached:
    """What one client reached in one round; ``cpu_seconds`` are those of all its processes."""

    requests: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.requests / self.cpu_seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving_nginx(folder: Path, core: int | None = None) -> Iterator[int]:
    """nginx with the two bodies on a free port of 127.0.0.1."""
    port = free_port()
    root = folder / "html"
    workloads = [WORKLOADS[name] for name in BODIES]
    for workload in workloads:
        file = root / workload.path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body_of(workload))
    # Started by root, nginx would serve as a user that can't read our folder.
    user = "user root;" if os.geteuid() == 0 else ""
    locations = "".join(f"location = {one.path} {{ default_type text/plain; }}" for one in workloads)
    text = NGINX_CONFIGURATION.format(
        user=user, folder=folder, root=root, address=ADDRESS, port=port, locations=locations
    )
    (folder / "nginx.conf").write_text(text)
    pin = [] if core is None else ["taskset", "-c", str(core)]
    process = subprocess.Popen(
        [*pin, "nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((ADDRESS, port), timeout=1).close()
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def by_engine(
    cluster: LoopbackCluster, run: str, port: int, body: str, connections: int, seconds: int
) -> Reached:
    # Slice 0 begins in a second.
    epoch = time.monotonic() + SETTLE_SECONDS
    spec = load_of_file(WORKLOADS[body], ADDRESS, port, epoch=epoch, clock_offsets={})
    cluster.tell(StartRun(run, spec, connections))
    cluster.wait_for_slice(run, seconds - 1)
    cluster.tell(StopRun())
    stopped = cluster.expect(RunStopped)
    slices = [event.slice for event in cluster.slices(run) if 0 <= event.slice.k < seconds]
    completed = sum(totals.completed for totals in stopped.workers.values())
    if any(one.failures for one in slices) or stopped.locust.requests != completed:
        failures = [one.failures for one in slices]
        raise RuntimeError(f"failures {failures}, or counts that differ: {completed}, {stopped.locust}")
    cpu_seconds = sum(
        one.engine_cpu_seconds - one.engine_busy_poll_seconds + one.locust_cpu_seconds for one in slices
    )
    return Reached(sum(one.requests for one in slices), seconds, cpu_seconds)


def run_client(command: list[str], core: int, cwd: Path, variables: Mapping[str, str]) -> str:
    """A client's standard output, pinned to the core. Raises CalledProcessError where it fails."""
    done = subprocess.run(
        ["taskset", "-c", str(core), *command],
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stdout


def by_wrk(folder: Path, port: int, body: str, connections: int, seconds: int, core: int) -> Reached:
    words = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}",
        f"http://{ADDRESS}:{port}{WORKLOADS[body].path}",
    ]
    output = run_client([sys.executable, "-I", "-c", WITH_CPU, *words], core, folder, {"LC_ALL": "C"})
    figure = parse_wrk(output)
    if figure is None:
        raise RuntimeError(f"wrk failed: {output}")
    return Reached(figure.requests, figure.seconds, figure.cpu_seconds)


def by_fast_http_user(
    folder: Path, port: int, body: str, connections: int, seconds: int, core: int
) -> Reached:
    home = Path(tempfile.mkdtemp(dir=folder))
    program = ROOT / ONHOST / "fast_http_user.py"
    users = ["-u", str(connections), "-r", str(connections), "-H", f"http://{ADDRESS}:{port}"]
    variables = {
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "ASGIBENCH_PATH": WORKLOADS[body].path,
        "ASGIBENCH_WARMUP_SECONDS": str(SETTLE_SECONDS),
        "ASGIBENCH_WINDOW_SECONDS": str(seconds),
        "ASGIBENCH_FIGURE": str(home / "figure.json"),
    }
    command = [sys.executable, "-m", "locust", "-f", str(program), "--headless", "--only-summary", *users]
    run_client([*command, "-L", "ERROR"], core, home, variables)
    figure = decode_line(LocustFigure, (home / "figure.json").read_bytes())
    if figure.failures:
        raise RuntimeError(f"FastHttpUser failed: {figure}")
    return Reached(figure.requests, figure.seconds, figure.cpu_seconds)


def say(client: str, body: str, connections: int, figure: Reached) -> None:
    speed = f"{figure.per_second:10,.0f} /s {figure.per_cpu_second:10,.0f} /CPU s"
    print(f"{body:10} {connections:5} {client:14} {speed}", flush=True)


def say_ratios(body: str, client: str, rounds: list[dict[str, Reached]]) -> None:
    by_time = [figures["engine"].per_second / figures[client].per_second for figures in rounds]
    by_cpu = [figures["engine"].per_cpu_second / figures[client].per_cpu_second for figures in rounds]
    print(f"{body}: engine / {client}: {_spread(by_time)}; by CPU {_spread(by_cpu)}", flush=True)


def _spread(ratios: list[float]) -> str:
    return f"median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def compare(options: argparse.Namespace, cluster: LoopbackCluster, port: int, folder: Path) -> None:
    """The table of goals: medians over the rounds of the ratios within each round."""
    core, connections, seconds = options.client_core, options.connections, options.seconds
    for body in BODIES:
        rounds: list[dict[str, Reached]] = []
        for number in range(options.rounds):
            figures = {"engine": by_engine(cluster, f"{body}{number}", port, body, connections, seconds)}
            if shutil.which("wrk"):
                figures["wrk"] = by_wrk(folder, port, body, connections, seconds, core)
            figures["FastHttpUser"] = by_fast_http_user(folder, port, body, connections, seconds, core)
            for client, figure in figures.items():
                say(client, body, connections, figure)
            rounds.append(figures)
        for client in [name for name in rounds[0] if name != "engine"]:
            say_ratios(body, client, rounds)


def sweep(options: argparse.Namespace, cluster: LoopbackCluster, port: int, folder: Path) -> None:
    """The same over numbers of connections: shortbody, the engine and wrk."""
    for number in range(options.rounds):
        for connections in (1, 4, 16, 50, 200, 1000):
            run = f"sweep{number}-{connections}"
            figure = by_engine(cluster, run, port, "shortbody", connections, options.seconds)
            say("engine", "shortbody", connections, figure)
            if shutil.which("wrk"):
                wrk = by_wrk(folder, port, "shortbody", connections, options.seconds, options.client_core)
                say("wrk", "shortbody", connections, wrk)


def main() -> None:
    parser = argparse.ArgumentParser(description="The engine beside wrk and FastHttpUser")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--sweep", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cluster").mkdir()
        with (
            serving_nginx(folder / "nginx", options.server_core) as port,
            LoopbackCluster(folder / "cluster", 1, options.client_core) as cluster,
        ):
            if options.sweep:
                sweep(options, cluster, port, folder)
            else:
                compare(options, cluster, port, folder)


if __name__ == "__main__":
    main()
