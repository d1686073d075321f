"""Distributed Locust: its master on the controller's loopback, a worker a core on the load hosts.

SSH reverse tunnels carry the master's port to the load hosts: nothing of it listens on a network.
The messages are those of bench/wire/master.py.
"""

from __future__ import annotations

import queue
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from bench.clients import Client
from bench.errors import HostUnsuitable, LoadError
from bench.wire import master as wire
from bench.wire.codec import encode_tagged
from bench.wire.load import LoadSpec
from bench.wire.slices import Slice
from loadgen.stats import StoppedRun
from remote.guard_link import GuardRefusal
from remote.guarded import GuardedHost
from remote.parallel import on_all
from remote.provision.ship import ROOT

JOIN_SECONDS = 30.0
START_SECONDS = 10.0
STOP_SECONDS = 12.0
STOP_GRACE_SECONDS = 2.0
ONHOST = "loadgen/onhost"
USER_FOLDER = "user"
FOLDER = "load"

OnSlice = Callable[[str, Slice], None]
Event = TypeVar("Event")


class MasterEnded(msgspec.Struct, frozen=True):
    """What comes after the master's last event: its end."""


class LoadProgram(msgspec.Struct, frozen=True):
    """What a load worker runs; paths are below the shipped folder."""

    locustfile: str  # what Locust is started with
    users_file: str = ""  # a user's own locustfile, which that one loads


class LoadHost(msgspec.Struct, frozen=True):
    """A load host, its Locust environment, the shipped files, and the core of each worker (None: any).

    ``any_core`` are the cores of a worker that has none of its own; None: all that the host has.
    """

    guarded: GuardedHost
    program_directory: str
    shipped_directory: str
    worker_cores: tuple[int | None, ...]
    program: LoadProgram
    any_core: tuple[int, ...] | None = None
    variables: dict[str, str] = {}  # more of a worker's environment

    def cores_of(self, index: int) -> tuple[int, ...] | None:
        core = self.worker_cores[index]
        return self.any_core if core is None else (core,)

    @property
    def worker_names(self) -> tuple[str, ...]:
        return tuple(f"{self.guarded.host.name}/{index}" for index in range(len(self.worker_cores)))


def load_program(client: Client, users_own: str | None) -> LoadProgram:
    """The program of a client of the plan; or of a user's own locustfile, of which the name is given."""
    if users_own is None:
        return LoadProgram(f"{ONHOST}/clients/{client}/locustfile.py")
    return LoadProgram(f"{ONHOST}/worker/user_locustfile.py", user_file(users_own))


def user_file(name: str) -> str:
    """Where a user's own locustfile is among the shipped files."""
    return f"{USER_FOLDER}/{name}"


def worker_command(
    program_directory: str, shipped_directory: str, program: LoadProgram, port: str
) -> list[str]:
    """What starts a load worker; ``port`` is the master's on the load host."""
    return [
        f"{program_directory}/python",
        "-m",
        "locust",
        "--worker",
        "-f",
        f"{shipped_directory}/{program.locustfile}",
        "--master-host",
        "127.0.0.1",
        "--master-port",
        port,
    ]


def worker_environment(
    name: str, shipped_directory: str, program: LoadProgram, *, spool: str, home: str
) -> dict[str, str]:
    """The variables of a load worker; without the cores it is pinned to."""
    environment = {
        "ASGIBENCH_WORKER": name,
        "ASGIBENCH_SPOOL": spool,
        "PYTHONPATH": shipped_directory,
        # No configuration file or history of the user's reaches Locust.
        "HOME": home,
    }
    if program.users_file:
        environment["ASGIBENCH_LOCUSTFILE"] = f"{shipped_directory}/{program.users_file}"
    return environment


def master_command(workers: str) -> list[str]:
    """What starts the master for so many load workers, on the controller; ROOT must be in PYTHONPATH."""
    return [sys.executable, "-m", "loadgen.master", "--control", "../master.sock", "--workers", workers]


def spool_folder(index: int) -> str:
    """Where worker ``index`` of a host keeps its slices, below the work folder."""
    return f"{FOLDER}/spool/{index}"


class LoadCluster:
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
        self._events: queue.Queue[object] = queue.Queue()
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
        self._send(wire.StartRun(run, spec, users))
        self._await(wire.RunStarted, START_SECONDS)

    def check_running(self) -> None:
        """Raises LoadError if a worker was lost or an engine failed since the last look."""
        try:
            while True:
                self._raise_if_failed(self._events.get_nowait())
        except queue.Empty:
            return

    def stop_run(self) -> StoppedRun:
        """Stop and collect: returns when every worker's totals are in. Raises LoadError."""
        self._send(wire.StopRun())
        stopped = self._await(wire.RunStopped, STOP_SECONDS)
        if stopped.lost:
            raise self._lost(", ".join(stopped.lost))
        return StoppedRun(
            run=stopped.run,
            slices={name: tuple(rows) for name, rows in self._slices.items()},
            totals=stopped.workers,
            locust=stopped.locust,
        )

    def abort_run(self) -> None:
        """After a failure: see that no worker sends any more. Never raises for the run's own failure."""
        self._send(wire.StopRun())
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            try:
                if isinstance(self._events.get(timeout=0.2), (wire.RunStopped, MasterEnded)):
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
            if isinstance(event, wire.WorkerState) and event.state == "joined":
                self._joined.add(event.worker)
                missing.discard(event.worker)
            else:
                self._raise_if_failed(event)

    def worker_pids(self) -> dict[str, dict[str, int]]:
        """{host: {process name: pid}} of all load workers."""
        return {name: dict(pids) for name, pids in self._pids.items()}

    def close(self) -> None:
        """Tell the master to end; the guards end what does not."""
        try:
            self._send(wire.QuitMaster())
        except LoadError:
            return
        finally:
            self._control.close()

    def restart(self, hosts: Sequence[LoadHost], left_on: Sequence[LoadHost] = ()) -> LoadCluster:
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
            environment = worker_environment(
                name,
                host.shipped_directory,
                host.program,
                spool=f"{host.guarded.workdir}/{spool_folder(index)}",
                home=f"{host.guarded.workdir}/{FOLDER}/home",
            )
            environment |= host.variables
            if cores is not None:
                environment["ASGIBENCH_CORES"] = ",".join(map(str, cores))
            pid = host.guarded.start(
                f"load-{index}",
                worker_command(host.program_directory, host.shipped_directory, host.program, str(port)),
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
            remedy="Its log follows; with --debug there is more",
            detail="\n".join(logs),
        )

    # -- messages

    def _send(self, command: object) -> None:
        try:
            self._control.sendall(encode_tagged(wire.COMMANDS, "do", command))
        except OSError as error:
            raise self._master_gone() from error

    def _await(self, wanted: type[Event], patience_seconds: float) -> Event:
        """The next event of that type. Raises LoadError where it doesn't come, or the run fails."""
        deadline = time.monotonic() + patience_seconds
        while True:
            try:
                event = self._events.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise LoadError(
                    f"the load did not reach {wanted.__name__} within {patience_seconds:g} s",
                    remedy="See the load workers' logs below their work folder; run again with --resume",
                    detail=self._controller.tail(f"{FOLDER}/master.log", 2_000),
                ) from None
            if isinstance(event, wanted):
                return event
            self._raise_if_failed(event)

    def _raise_if_failed(self, event: object) -> None:
        match event:
            case wire.WorkerState(state="lost"):
                raise self._lost(event.worker)
            case wire.MasterError():
                raise LoadError(event.message, remedy=event.remedy)
            case MasterEnded():
                raise self._master_gone()

    def _lost(self, worker: str) -> LoadError:
        return LoadError(
            f"load worker {worker} was lost in mid-run; the run is void",
            remedy="See that its host is up; run again with --resume",
        )

    def _master_gone(self) -> LoadError:
        return LoadError(
            "the Locust master has ended",
            remedy="Its log follows",
            detail=self._controller.tail(f"{FOLDER}/master.log", 2_000),
        )

    def _listen(self) -> None:
        with self._control.makefile("rb") as lines:
            try:
                for line in lines:
                    self._take(read_event(line))
            except (OSError, ValueError):
                self._events.put(MasterEnded())
                return
        self._events.put(MasterEnded())

    def _take(self, event: object) -> None:
        if not isinstance(event, wire.WorkerSlice):
            self._events.put(event)
            return
        if event.run != self._run:
            return
        self._slices[event.worker].append(event.slice)
        if self._on_slice is not None:
            self._on_slice(event.worker, event.slice)

    def await_port(self) -> int:
        """The master's port on the controller's loopback."""
        return self._await(wire.MasterListening, JOIN_SECONDS).port


class _Tag(msgspec.Struct):
    event: str


def read_event(line: bytes) -> object:
    """One of bench.wire.master.EVENTS. Raises ValueError where it is none."""
    kind = wire.EVENTS.get(msgspec.json.decode(line, type=_Tag).event)
    if kind is None:
        raise ValueError(f"not an event: {line[:80]!r}")
    return msgspec.json.decode(line, type=kind)


def start_cluster(
    controller: GuardedHost, hosts: Sequence[LoadHost], *, master_cores: Sequence[int] | None
) -> LoadCluster:
    """Start the master under the controller's guard, then the workers. Raises LoadError."""
    workers = sum(len(host.worker_cores) for host in hosts)
    controller.write(f"{FOLDER}/home/.keep", b"")
    controller.remove(f"{FOLDER}/master.sock")
    controller.start(
        "load-master",
        master_command(str(workers)),
        cwd=f"{controller.workdir}/{FOLDER}/home",
        log=f"{FOLDER}/master.log",
        env={"HOME": f"{controller.workdir}/{FOLDER}/home", "PYTHONPATH": str(ROOT)},
        cores=master_cores,
    )
    control = _connect(controller)
    cluster = LoadCluster(controller, hosts, control, master_cores)
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
                    remedy="Name a shorter folder in asgibench_workdir of the local host",
                ) from error
            if controller.exit_status("load-master") is not None or time.monotonic() > deadline:
                raise LoadError(
                    "the Locust master did not start",
                    remedy="Its log follows",
                    detail=controller.tail(f"{FOLDER}/master.log", 2_000),
                ) from error
        time.sleep(0.01)
