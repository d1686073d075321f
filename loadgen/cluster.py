"""Distributed Locust: its master on the controller's loopback, a worker a core on the load hosts.

SSH reverse tunnels carry the master's port to the load hosts: nothing of it listens on a network.
The messages are those of protocol.md.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import HostUnsuitable, LoadError
from bench.spec import Client
from bench.wire.load import LoadSpec
from bench.wire.slices import LocustTotals, Slice, Totals
from loadgen.stats import StoppedRun
from remote.guarded import GuardedHost, GuardRefusal
from remote.parallel import on_all

JOIN_SECONDS = 30.0
START_SECONDS = 10.0
STOP_SECONDS = 12.0
STOP_GRACE_SECONDS = 2.0
ONHOST = "loadgen/onhost"
USER_FOLDER = "user"
FOLDER = "load"

OnSlice = Callable[[str, Slice], None]


class LoadHost(msgspec.Struct, frozen=True):
    """A load host, its Locust environment, the shipped files, and the core of each worker (None: any).

    ``any_core`` are the cores of a worker that has none of its own; None: all that the host has.
    ``user_file`` is a locustfile among the shipped files, a user's own or that of one of Locust's clients;
    empty: the engine makes the load.
    """

    guarded: GuardedHost
    program_directory: str
    shipped_directory: str
    worker_cores: tuple[int | None, ...]
    user_file: str = ""
    any_core: tuple[int, ...] | None = None

    def cores_of(self, index: int) -> tuple[int, ...] | None:
        core = self.worker_cores[index]
        return self.any_core if core is None else (core,)

    @property
    def worker_names(self) -> tuple[str, ...]:
        return tuple(f"{self.guarded.host.name}/{index}" for index in range(len(self.worker_cores)))


def client_file(client: Client) -> str:
    """The locustfile of one of Locust's clients among the shipped files; empty for our engine."""
    return "" if client == "engine" else f"{ONHOST}/clients/{client}.py"


def user_file(name: str) -> str:
    """Where a user's own locustfile is among the shipped files."""
    return f"{USER_FOLDER}/{name}"


def worker_command(program_directory: str, shipped_directory: str, user_file: str, port: str) -> list[str]:
    """What starts a load worker; ``port`` is the master's on the load host. ``user_file`` as in LoadHost."""
    locustfile = "user_locustfile.py" if user_file else "locustfile.py"
    return [
        f"{program_directory}/python",
        "-m",
        "locust",
        "--worker",
        "-f",
        f"{shipped_directory}/{ONHOST}/worker/{locustfile}",
        "--master-host",
        "127.0.0.1",
        "--master-port",
        port,
    ]


def master_command(workers: str) -> list[str]:
    """What starts the master for so many load workers, on the controller."""
    program = str(Path(__file__).with_name("master.py"))
    return [sys.executable, program, "--control", "../master.sock", "--workers", workers]


def spool_folder(index: int) -> str:
    """Where worker ``index`` of a host keeps its slices, below the work folder."""
    return f"{FOLDER}/spool/{index}"


class Cluster:
    """The master and its workers, alive from ``start_cluster`` until ``close``."""

    def __init__(
        self,
        controller: GuardedHost,
        hosts: Sequence[LoadHost],
        control: socket.socket,
        master_cores: Sequence[int] | None,
    ) -> None:
        self.hosts = tuple(hosts)
        self._master_cores = master_cores
        self.worker_hosts: dict[str, str] = {
            name: host.guarded.host.name for host in hosts for name in host.worker_names
        }
        self._controller = controller
        self._control = control
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._joined: set[str] = set()
        self._slices: dict[str, list[Slice]] = {}
        self._on_slice: OnSlice | None = None
        self._run: str | None = None
        self._pids: dict[str, dict[str, int]] = {host.guarded.host.name: {} for host in hosts}
        threading.Thread(target=self._listen, name="load-master", daemon=True).start()

    # -- a run

    def start_run(self, run: str, spec: LoadSpec, users: int, on_slice: OnSlice | None) -> None:
        """Returns when every worker runs and the connections are all there. Raises LoadError."""
        self._slices = {name: [] for name in self.worker_hosts}
        self._on_slice = on_slice
        self._run = run
        self._send({"do": "start", "run": run, "spec": spec, "users": users})
        self._await("started", START_SECONDS)

    def check_running(self) -> None:
        """Raises LoadError if a worker was lost or an engine failed since the last look."""
        try:
            while True:
                self._raise_if_failed(self._events.get_nowait())
        except queue.Empty:
            return

    def stop_run(self) -> StoppedRun:
        """Stop and collect: returns when every worker's totals are in. Raises LoadError."""
        self._send({"do": "stop"})
        event = self._await("stopped", STOP_SECONDS)
        if event.get("lost"):
            raise self._lost(", ".join(event["lost"]))
        return StoppedRun(
            run=event["run"],
            slices={name: tuple(rows) for name, rows in self._slices.items()},
            totals=msgspec.convert(event["workers"], dict[str, Totals]),
            locust=msgspec.convert(event["locust"], LocustTotals),
        )

    def abort_run(self) -> None:
        """After a failure: see that no worker sends any more. Never raises for the run's own failure."""
        self._send({"do": "stop"})
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            try:
                if self._events.get(timeout=0.2)["event"] in ("stopped", "ended"):
                    return
            except queue.Empty:
                continue

    # -- the workers' life

    def start_workers(self, master_port: int) -> None:
        """One Locust worker a core on each load host, through a tunnel; returns when all have joined."""
        on_all(
            lambda host: self._start_on(host, master_port), self.hosts, lambda host: host.guarded.host.name
        )
        deadline = time.monotonic() + JOIN_SECONDS
        missing = set(self.worker_hosts) - self._joined
        while missing:
            self._note_exits(missing)
            try:
                event = self._events.get(timeout=0.1)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise self._not_joined(missing) from None
                continue
            if event["event"] == "worker" and event["state"] == "joined":
                self._joined.add(event["worker"])
                missing.discard(event["worker"])
            else:
                self._raise_if_failed(event)

    def worker_pids(self) -> dict[str, dict[str, int]]:
        """{host: {process name: pid}} of all load workers."""
        return {name: dict(pids) for name, pids in self._pids.items()}

    def close(self) -> None:
        """Tell the master to end; the guards end what does not."""
        try:
            self._send({"do": "quit"})
        except LoadError:
            return
        finally:
            self._control.close()

    def restart(self, hosts: Sequence[LoadHost], left_on: Sequence[LoadHost] = ()) -> Cluster:
        """End the master and all workers, and start others on ``hosts``. Raises LoadError.

        ``left_on`` are hosts on which workers may be left from a start that failed.
        """
        self.close()
        _stop(self._controller, "load-master")
        everywhere = (*self.hosts, *left_on, *hosts)
        most: dict[str, int] = {}
        for host in everywhere:
            name = host.guarded.host.name
            most[name] = max(most.get(name, 0), len(host.worker_cores))
        guards = {host.guarded.host.name: host.guarded for host in everywhere}

        def stop_on(name: str) -> None:
            for index in range(most[name]):
                _stop(guards[name], f"load-{index}")

        on_all(stop_on, guards, str)
        return start_cluster(self._controller, hosts, master_cores=self._master_cores)

    def _start_on(self, host: LoadHost, master_port: int) -> None:
        port = host.guarded.connection.reverse_tunnel(master_port)
        host.guarded.write(f"{FOLDER}/home/.keep", b"")
        for index, name in enumerate(host.worker_names):
            cores = host.cores_of(index)
            host.guarded.write(f"{spool_folder(index)}/.keep", b"")
            environment = {
                "ASGIBENCH_WORKER": name,
                "PYTHONPATH": host.shipped_directory,
                "ASGIBENCH_SPOOL": f"{host.guarded.workdir}/{spool_folder(index)}",
                # No configuration file or history of the user's reaches Locust.
                "HOME": f"{host.guarded.workdir}/{FOLDER}/home",
            }
            if cores is not None:
                environment["ASGIBENCH_CORES"] = ",".join(map(str, cores))
            if host.user_file:
                environment["ASGIBENCH_LOCUSTFILE"] = f"{host.shipped_directory}/{host.user_file}"
            pid = host.guarded.start(
                f"load-{index}",
                worker_command(host.program_directory, host.shipped_directory, host.user_file, str(port)),
                env=environment,
                cwd=f"{host.guarded.workdir}/{FOLDER}/home",
                log=f"{FOLDER}/worker-{index}.log",
                cores=cores,
            )
            self._pids[host.guarded.host.name][f"load-{index}"] = pid

    def _note_exits(self, missing: set[str]) -> None:
        for host in self.hosts:
            for index, name in enumerate(host.worker_names):
                if name in missing and host.guarded.exit_status(f"load-{index}") is not None:
                    raise self._not_joined({name})

    def _not_joined(self, missing: set[str]) -> LoadError:
        logs = []
        for host in self.hosts:
            for index, name in enumerate(host.worker_names):
                if name in missing:
                    tail = host.guarded.tail(f"{FOLDER}/worker-{index}.log", 2_000)
                    logs.append(f"--- {name}\n{tail}")
        return LoadError(
            f"load worker {', '.join(sorted(missing))} did not join the master",
            remedy="its log follows; with --debug there is more",
            detail="\n".join(logs),
        )

    # -- messages

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            self._control.sendall(msgspec.json.encode(message) + b"\n")
        except OSError as error:
            raise self._master_gone() from error

    def _await(self, wanted: str, patience_seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + patience_seconds
        while True:
            try:
                event = self._events.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise LoadError(
                    f"the load did not reach `{wanted}` within {patience_seconds:g} s",
                    remedy="see the load workers' logs below their work folder; run again with --resume",
                    detail=self._controller.tail(f"{FOLDER}/master.log", 2_000),
                ) from None
            if event["event"] == wanted:
                return event
            self._raise_if_failed(event)

    def _raise_if_failed(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "worker" and event["state"] == "lost":
            raise self._lost(event["worker"])
        if event["event"] == "error":
            raise LoadError(event["message"], remedy=event.get("remedy", ""))
        if event["event"] == "ended":
            raise self._master_gone()

    def _lost(self, worker: str) -> LoadError:
        return LoadError(
            f"load worker {worker} was lost in mid-run; the run is void",
            remedy="see that its host is up; run again with --resume",
        )

    def _master_gone(self) -> LoadError:
        return LoadError(
            "the Locust master has ended",
            remedy="its log follows",
            detail=self._controller.tail(f"{FOLDER}/master.log", 2_000),
        )

    def _listen(self) -> None:
        with self._control.makefile("rb") as lines:
            try:
                for line in lines:
                    self._take(msgspec.json.decode(line))
            except (OSError, ValueError) as error:
                self._events.put({"event": "ended", "why": str(error)})
                return
        self._events.put({"event": "ended", "why": "closed"})

    def _take(self, event: dict[str, Any]) -> None:
        if event["event"] != "slice":
            self._events.put(event)
            return
        if event["run"] != self._run:
            return
        one = msgspec.convert(event["slice"], Slice)
        self._slices[event["worker"]].append(one)
        if self._on_slice is not None:
            self._on_slice(event["worker"], one)

    def await_port(self) -> int:
        """The master's port on the controller's loopback."""
        return int(self._await("listening", JOIN_SECONDS)["port"])


def start_cluster(
    controller: GuardedHost, hosts: Sequence[LoadHost], *, master_cores: Sequence[int] | None
) -> Cluster:
    """Start the master under the controller's guard, then the workers. Raises LoadError."""
    workers = sum(len(host.worker_cores) for host in hosts)
    controller.write(f"{FOLDER}/home/.keep", b"")
    controller.remove(f"{FOLDER}/master.sock")
    controller.start(
        "load-master",
        master_command(str(workers)),
        cwd=f"{controller.workdir}/{FOLDER}/home",
        log=f"{FOLDER}/master.log",
        env={"HOME": f"{controller.workdir}/{FOLDER}/home"},
        cores=master_cores,
    )
    control = _connect(controller)
    cluster = Cluster(controller, hosts, control, master_cores)
    cluster.start_workers(cluster.await_port())
    return cluster


def _stop(guarded: GuardedHost, name: str) -> None:
    try:
        guarded.stop(name, grace_seconds=STOP_GRACE_SECONDS)
    except GuardRefusal as refusal:
        # A guard that was started anew knows nothing of it: then it has ended with the old one.
        if refusal.kind != "unknown":
            raise


def _connect(controller: GuardedHost) -> socket.socket:
    path = f"{controller.workdir}/{FOLDER}/master.sock"
    deadline = time.monotonic() + JOIN_SECONDS
    while True:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            control.connect(path)
            return control
        except OSError as error:
            control.close()
            if "too long" in str(error):
                raise HostUnsuitable(
                    f"{path} is too long for a unix socket",
                    remedy="name a shorter folder in asgibench_workdir of the local host",
                ) from error
            if controller.exit_status("load-master") is not None or time.monotonic() > deadline:
                raise LoadError(
                    "the Locust master did not start",
                    remedy="its log follows",
                    detail=controller.tail(f"{FOLDER}/master.log", 2_000),
                ) from error
        time.sleep(0.01)
