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
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

LOADGEN = Path(__file__).parent.parent / "loadgen"
BODIES = {"shortbody": b"x" * 22, "longbody": b"y" * 430_000}
SETTLE_SECONDS = 1

NGINX_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type text/plain;
    sendfile on;
    keepalive_requests 1000000000;
    open_file_cache max=16;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/html; }}
}}
"""

FAST_HTTP_USER = """
from locust import FastHttpUser, task

class Fast(FastHttpUser):
    @task
    def get(self):
        self.client.get("/{body}")
"""


@dataclass(frozen=True)
class Figure:
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


class LoopbackCluster:
    """A controller's side of protocol.md: a master and its workers on this machine, in one folder.

    ``locustfile`` is a user's own that the workers are to run, in place of the engine.
    """

    def __init__(
        self, folder: Path, workers: int, core: int | None = None, locustfile: Path | None = None
    ) -> None:
        self.folder = folder
        self._locustfile = locustfile
        self.events: list[dict[str, Any]] = []
        self._pin = [] if core is None else ["taskset", "-c", str(core)]
        control = folder / "control"
        self.master = subprocess.Popen(
            [
                *self._pin,
                sys.executable,
                str(LOADGEN / "master.py"),
                "--control",
                control,
                "--workers",
                str(workers),
            ],
            cwd=folder,
        )
        self._control = self._connect(control)
        self._lines = self._control.makefile("r", encoding="utf-8")
        self.port: int = self.expect("listening")["port"]
        self.workers = {f"here/{number}": self._start_worker(number) for number in range(workers)}
        for _ in self.workers:
            self.expect("worker")

    def __enter__(self) -> Self:
        return self

    def hang_up(self) -> None:
        """What a controller's end is to the master."""
        self._lines.close()
        self._control.close()

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        for process in (self.master, *self.workers.values()):
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _connect(self, path: Path) -> socket.socket:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        control.settimeout(60)
        deadline = time.monotonic() + 30
        while True:
            try:
                control.connect(str(path))
                return control
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline or self.master.poll() is not None:
                    raise
                time.sleep(0.01)

    def _start_worker(self, number: int) -> subprocess.Popen[bytes]:
        home = self.folder / str(number)
        home.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ASGIBENCH_WORKER": f"here/{number}",
            "ASGIBENCH_SPOOL": str(home),
        }
        program = "locustfile.py"
        if self._locustfile is not None:
            program = "user_locustfile.py"
            environment["ASGIBENCH_LOCUSTFILE"] = str(self._locustfile)
        master = ["--master-host", "127.0.0.1", "--master-port", str(self.port)]
        command = [
            *self._pin,
            sys.executable,
            "-m",
            "locust",
            "--worker",
            "-f",
            str(LOADGEN / program),
            *master,
        ]
        return subprocess.Popen(
            [*command, "-L", "WARNING"], cwd=home, env=environment, stdin=subprocess.DEVNULL
        )

    def tell(self, **command: Any) -> None:
        self._control.sendall(json.dumps(command).encode() + b"\n")

    def next_event(self) -> dict[str, Any]:
        """Raises TimeoutError after 60 s, EOFError when the master has ended."""
        line = self._lines.readline()
        if not line:
            raise EOFError("the master has ended")
        event: dict[str, Any] = json.loads(line)
        self.events.append(event)
        return event

    def expect(self, name: str, **fields: Any) -> dict[str, Any]:
        """The next event of that name with those fields; those before it are kept in ``events``."""
        while True:
            event = self.next_event()
            if event["event"] == name and fields.items() <= event.items():
                return event
            if event["event"] == "error" and name != "error":
                raise RuntimeError(f"waiting for {name}: {event['message']}")

    def slices(self, run: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == "slice" and event["run"] == run]

    def wait_for_slice(self, run: str, k: int) -> None:
        """Until every worker's slice k is there."""
        while sum(event["slice"]["k"] == k for event in self.slices(run)) < len(self.workers):
            self.next_event()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving_nginx(folder: Path, core: int | None = None) -> Iterator[int]:
    """nginx with the two bodies on a free port of 127.0.0.1."""
    port = free_port()
    (folder / "html").mkdir(parents=True)
    folder.parent.chmod(0o755)  # started by root, nginx serves as somebody else
    for name, body in BODIES.items():
        (folder / "html" / name).write_bytes(body)
    (folder / "nginx.conf").write_text(NGINX_CONFIGURATION.format(folder=folder, port=port))
    pin = [] if core is None else ["taskset", "-c", str(core)]
    process = subprocess.Popen(
        [*pin, "nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def load_spec(port: int, body: str, **changes: Any) -> dict[str, Any]:
    """Closed loop on one of nginx's bodies, every answer checked; slice 0 begins in a second."""
    digest = hashlib.sha256(BODIES[body]).hexdigest()
    expect = {"status": 200, "length": len(BODIES[body]), "body_sha256": [digest]}
    spec = {
        "host": "127.0.0.1",
        "port": port,
        "path": f"/{body}",
        "expect": expect,
        "hash_sample_every": 1000,
    }
    return {**spec, "epoch": time.time() + SETTLE_SECONDS, **changes}


def by_engine(
    cluster: LoopbackCluster, run: str, port: int, body: str, connections: int, seconds: int
) -> Figure:
    cluster.tell(do="start", run=run, spec=load_spec(port, body), users=connections)
    cluster.wait_for_slice(run, seconds - 1)
    cluster.tell(do="stop")
    stopped = cluster.expect("stopped")
    slices = [event["slice"] for event in cluster.slices(run) if 0 <= event["slice"]["k"] < seconds]
    completed = sum(totals["completed"] for totals in stopped["workers"].values())
    if any(slice_["failures"] for slice_ in slices) or stopped["locust"]["requests"] != completed:
        failures = [slice_["failures"] for slice_ in slices]
        raise RuntimeError(f"failures {failures}, or counts that differ: {completed}, {stopped['locust']}")
    cpu_seconds = sum(
        slice_["engine_cpu_seconds"] - slice_["engine_busy_poll_seconds"] + slice_["locust_cpu_seconds"]
        for slice_ in slices
    )
    return Figure(sum(slice_["requests"] for slice_ in slices), seconds, cpu_seconds)


def run_measured(command: list[str], cwd: Path | None = None) -> tuple[str, float]:
    """A command's standard output, and the CPU seconds of it and its children."""
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return output, usage.ru_utime + usage.ru_stime


def by_wrk(port: int, body: str, connections: int, seconds: int, core: int) -> Figure:
    pin = ["taskset", "-c", str(core)]
    flags = ["-t1", f"-c{connections}", f"-d{seconds}"]
    output, cpu_seconds = run_measured([*pin, "wrk", *flags, f"http://127.0.0.1:{port}/{body}"])
    line = next(line for line in output.splitlines() if "requests in" in line)
    words = line.replace(",", " ").split()
    return Figure(int(words[0]), float(words[3].removesuffix("s")), cpu_seconds)


def by_fast_http_user(
    folder: Path, port: int, body: str, connections: int, seconds: int, core: int
) -> Figure:
    home = Path(tempfile.mkdtemp(dir=folder))
    (home / "fast.py").write_text(FAST_HTTP_USER.format(body=body))
    command = [
        "taskset",
        "-c",
        str(core),
        sys.executable,
        "-m",
        "locust",
        "-f",
        "fast.py",
        "--headless",
        "--json",
    ]
    load = [
        "-u",
        str(connections),
        "-r",
        str(connections),
        "-t",
        f"{seconds}s",
        "-H",
        f"http://127.0.0.1:{port}",
    ]
    output, cpu_seconds = run_measured([*command, *load, "-L", "ERROR", "--only-summary"], cwd=home)
    (entry,) = json.loads(output[output.index("[") :])
    return Figure(entry["num_requests"], entry["last_request_timestamp"] - entry["start_time"], cpu_seconds)


def say(client: str, body: str, connections: int, figure: Figure) -> None:
    speed = f"{figure.per_second:10,.0f} /s {figure.per_cpu_second:10,.0f} /CPU s"
    print(f"{body:10} {connections:5} {client:14} {speed}", flush=True)


def say_ratios(body: str, client: str, rounds: list[dict[str, Figure]]) -> None:
    by_time = [figures["engine"].per_second / figures[client].per_second for figures in rounds]
    by_cpu = [figures["engine"].per_cpu_second / figures[client].per_cpu_second for figures in rounds]
    print(f"{body}: engine / {client}: {_spread(by_time)}; by CPU {_spread(by_cpu)}", flush=True)


def _spread(ratios: list[float]) -> str:
    return f"median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def compare(options: argparse.Namespace, cluster: LoopbackCluster, port: int, folder: Path) -> None:
    """The table of goals: medians over the rounds of the ratios within each round."""
    core, connections, seconds = options.client_core, options.connections, options.seconds
    for body in BODIES:
        rounds: list[dict[str, Figure]] = []
        for number in range(options.rounds):
            figures = {"engine": by_engine(cluster, f"{body}{number}", port, body, connections, seconds)}
            if shutil.which("wrk"):
                figures["wrk"] = by_wrk(port, body, connections, seconds, core)
            figures["FastHttpUser"] = by_fast_http_user(folder, port, body, connections, seconds, core)
            for client, figure in figures.items():
                say(client, body, connections, figure)
            rounds.append(figures)
        for client in [name for name in rounds[0] if name != "engine"]:
            say_ratios(body, client, rounds)


def sweep(options: argparse.Namespace, cluster: LoopbackCluster, port: int) -> None:
    """The same over numbers of connections: shortbody, the engine and wrk."""
    for number in range(options.rounds):
        for connections in (1, 4, 16, 50, 200, 1000):
            run = f"sweep{number}-{connections}"
            figure = by_engine(cluster, run, port, "shortbody", connections, options.seconds)
            say("engine", "shortbody", connections, figure)
            if shutil.which("wrk"):
                wrk = by_wrk(port, "shortbody", connections, options.seconds, options.client_core)
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
                sweep(options, cluster, port)
            else:
                compare(options, cluster, port, folder)


if __name__ == "__main__":
    main()
