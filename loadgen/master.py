"""Locust's master for one controller: a process of its own, because importing Locust patches its process.

Contract: ``python -m loadgen.master --control SOCKET --workers N``. SOCKET is a path at which a unix socket
is made (mode 0600); one controller connects to it within 30 s. The messages are those of
bench/wire/master.py. Locust listens on 127.0.0.1 only, on a free port. The process ends, and its workers with
it, on QuitMaster, when the controller closes the socket (status 0), and when no controller comes (status 1).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import gevent.queue
import gevent.socket as socket
import zmq
from locust import User, runners, task
from locust.env import Environment
from locust.rpc import Message

from bench.wire import master as wire
from bench.wire.codec import WireError, decode_tagged, encode_tagged, from_plain, to_plain
from bench.wire.load import LoadSpec
from bench.wire.slices import LocustTotals, Totals
from bench.wire.worker import (
    CONNECTIONS,
    FAILED,
    HELLO,
    REPORT,
    RUN,
    STOP,
    RunOrder,
    StopOrder,
    WorkerConnections,
    WorkerFailed,
    WorkerHello,
    WorkerReport,
)

_CONTROLLER_TIMEOUT_SECONDS = 30
_START_TIMEOUT_SECONDS = 10
_STOP_TIMEOUT_SECONDS = 5
_HEARTBEATS_MISSED = 2  # one a second; the worker is lost after the third
_POLL_SECONDS = 0.005


class CommandRefused(Exception):
    """A command can't be done; a run that is under way goes on."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class RunFailed(CommandRefused):
    """The run under way can't go on."""


class SimulatedConnection(User):  # type: ignore[misc]  # Locust has no types
    """What Locust distributes; a load worker has the class of this name that does something."""

    @task  # type: ignore[untyped-decorator]
    def hold(self) -> None:
        raise NotImplementedError("users run in workers")


def stand_ins(shares: tuple[tuple[str, float, int], ...]) -> list[type[User]]:
    """For the User classes of a user's own file, which workers have: (name, weight, fixed count)."""
    return [
        type(name, (SimulatedConnection,), {"weight": weight, "fixed_count": fixed_count})
        for name, weight, fixed_count in shares
    ]


class Master(runners.MasterRunner):  # type: ignore[misc]
    """Locust's master, but for two messages that would make it redistribute users in the middle of a run."""

    def __init__(self, environment: Environment, on_loss: Callable[[str], None]) -> None:
        self.is_running = False
        self._on_loss = on_loss
        super().__init__(environment, "127.0.0.1", 0)

    @property
    def port(self) -> int:
        return int(self.server.port)

    def handle_message(self, client_id: str, msg: Message) -> None:
        if msg.type == "client_ready" and self.is_running:
            return  # it asks again every 5 s
        if msg.type == "quit" and client_id in self.clients:
            self._on_loss(client_id)
        super().handle_message(client_id, msg)

    def is_connected(self, client_id: str) -> bool:
        """Asks ZMQ's routing table, by way of a message that workers take for a heartbeat."""
        socket_ = self.server.socket
        socket_.setsockopt(zmq.ROUTER_MANDATORY, 1)
        try:
            socket_.send_multipart([client_id.encode(), Message("heartbeat", None, client_id).serialize()])
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return False
            raise
        finally:
            socket_.setsockopt(zmq.ROUTER_MANDATORY, 0)
        return True

    def forget(self, client_id: str) -> None:
        """Take a lost worker out, so that nothing is redistributed when Locust notices."""
        self._users_dispatcher = None
        if client_id in self.clients:
            del self.clients[client_id]


class RunUnderWay:
    """One run: what its workers have reported so far."""

    def __init__(self, name: str, workers: dict[str, str]) -> None:
        self.name = name
        self.workers = workers  # client id -> worker
        self.connections: dict[str, int] = {}
        self.totals: dict[str, Totals] = {}
        self.lost: list[str] = []
        self.failure: RunFailed | None = None

    @property
    def left(self) -> dict[str, str]:
        return {client: worker for client, worker in self.workers.items() if worker not in self.lost}

    @property
    def is_collected(self) -> bool:
        return all(worker in self.totals for worker in self.left.values())


class LoadMaster:
    """Does what the controller says and tells it what happens."""

    def __init__(self, control: Any, worker_count: int) -> None:
        self._control = control
        self._worker_count = worker_count
        self._workers: dict[str, str] = {}  # client id -> worker's name, of those that are there
        self._run: RunUnderWay | None = None
        self._last_stopped: wire.RunStopped | None = None
        self._outgoing: gevent.queue.Queue[object] = gevent.queue.Queue()  # events; None ends it
        self._commands: gevent.queue.Queue[object] = gevent.queue.Queue()  # and runs that have failed
        environment = Environment(user_classes=[SimulatedConnection])
        self._master = Master(environment, self._lose)
        environment.runner = self._master
        environment.events.worker_report.add_listener(self._on_report)
        self._master.register_message(HELLO, self._on_hello)
        self._master.register_message(CONNECTIONS, self._on_connections)
        self._master.register_message(FAILED, self._on_failed)

    def serve(self) -> None:
        """Returns when the controller has sent QuitMaster, or has gone."""
        greenlets = [
            gevent.spawn(work) for work in (self._write, self._obey, self._watch, self._watch_heartbeats)
        ]
        self._tell(wire.MasterListening(self._master.port))
        try:
            self._read()
        finally:
            gevent.killall(greenlets[1:])
            self._workers.clear()  # from here on it is no loss when they go
            self._master.quit()
            self._outgoing.put(None)
            greenlets[0].join(timeout=1)

    # The controller

    def _tell(self, event: object) -> None:
        self._outgoing.put(event)

    def _write(self) -> None:
        try:
            for event in iter(self._outgoing.get, None):
                self._control.sendall(encode_tagged(wire.EVENTS, "event", event))
        except OSError:
            logging.getLogger(__name__).warning("The controller has gone; its last events are lost")

    def _read(self) -> None:
        with self._control.makefile("rb") as lines:
            for line in lines:
                try:
                    command = decode_tagged(wire.COMMANDS, "do", line)
                except WireError as error:
                    self._tell(wire.MasterError(f"not a command: {error}"))
                    continue
                if isinstance(command, wire.QuitMaster):
                    return
                self._commands.put(command)

    def _obey(self) -> None:
        for command in self._commands:
            try:
                self._do(command)
            except CommandRefused as error:
                self._tell(wire.MasterError(str(error), error.remedy))
                if isinstance(error, RunFailed) and self._run is not None:
                    self._collect(self._run)

    def _do(self, command: object) -> None:
        match command:
            case wire.StartRun():
                self._start(command.run, command.spec, command.users)
            case wire.ChangeUsers():
                self._change_users(self._current_run(), command.users)
            case wire.StopRun():
                self._stop()
            case RunUnderWay():
                self._end_failed(command)

    def _end_failed(self, run: RunUnderWay) -> None:
        """Of a run that failed between two commands; a command that was waiting has ended it already."""
        if run is self._run and run.failure is not None:
            raise run.failure

    def _current_run(self) -> RunUnderWay:
        if self._run is None:
            raise CommandRefused("no run is under way")
        return self._run

    # A run

    def _start(self, name: str, spec: LoadSpec, users: int) -> None:
        if self._run is not None:
            raise CommandRefused(f"run {self._run.name} is still under way", "Stop it first")
        if len(self._workers) != self._worker_count:
            there = ", ".join(sorted(self._workers.values())) or "none"
            message = f"{len(self._workers)} of {self._worker_count} load workers are there ({there})"
            raise CommandRefused(message, "Start the others")
        run = self._run = RunUnderWay(name, dict(self._workers))
        self._master.is_running = True
        for index, (worker, client) in enumerate(sorted((w, c) for c, w in run.workers.items())):
            self._send(RUN, RunOrder(name, spec, index, len(run.workers)), client)
            run.connections[worker] = 0
        self._change_users(run, users)

    def _change_users(self, run: RunUnderWay, users: int) -> None:
        """Returns when every worker runs and their engines hold so many connections together."""
        spawning = gevent.spawn(self._master.start, users, max(users, self._master.user_count, 1))
        try:
            self._wait(
                run, lambda: spawning.dead and self._has_connections(run, users), _START_TIMEOUT_SECONDS
            )
        except gevent.Timeout:
            held = ", ".join(f"{worker}: {count}" for worker, count in sorted(run.connections.items()))
            message = (
                f"{users} connections were asked for, and after {_START_TIMEOUT_SECONDS} s there are {held}"
            )
            raise RunFailed(message, "See the load workers' logs") from None
        finally:
            spawning.kill()
        self._tell(wire.RunStarted(run.name, users))

    def _has_connections(self, run: RunUnderWay, users: int) -> bool:
        is_running = len(self._master.clients.running) == len(run.workers)
        return is_running and self._master.user_count == users == sum(run.connections.values())

    def _wait(self, run: RunUnderWay, is_done: Callable[[], bool], seconds: float) -> None:
        """Raises RunFailed when the run fails meanwhile, gevent.Timeout when it takes too long."""
        with gevent.Timeout(seconds):
            while not is_done():
                if run.failure is not None:
                    raise run.failure
                gevent.sleep(_POLL_SECONDS)

    def _stop(self) -> None:
        if self._run is not None:
            self._collect(self._run)
        elif self._last_stopped is not None:
            self._tell(self._last_stopped)
        else:
            raise CommandRefused("there has been no run to stop")

    def _collect(self, run: RunUnderWay) -> None:
        """Stop what is left of the run, wait for every worker's totals, and say stopped."""
        for client in run.left:
            self._send(STOP, StopOrder(run.name), client)
        try:
            with gevent.Timeout(_STOP_TIMEOUT_SECONDS):
                while not run.is_collected:
                    gevent.sleep(_POLL_SECONDS)
        except gevent.Timeout:
            silent = sorted(worker for worker in run.left.values() if worker not in run.totals)
            message = f"{', '.join(silent)} sent no totals of run {run.name} within {_STOP_TIMEOUT_SECONDS} s"
            self._tell(wire.MasterError(message, "See the load workers' logs"))
            run.lost.extend(silent)
        self._stop_users()
        total = self._master.stats.total
        self._last_stopped = wire.RunStopped(
            run=run.name,
            workers=run.totals,
            lost=tuple(run.lost),
            locust=LocustTotals(total.num_requests, total.num_failures),
        )
        self._run = None
        self._master.is_running = False
        self._tell(self._last_stopped)

    def _stop_users(self) -> None:
        """Locust's own stop looks once a second whether all users have gone: so they go first."""
        master = self._master
        expected = set(master.clients)
        if master.state in (runners.STATE_RUNNING, runners.STATE_SPAWNING) and expected:
            if master._users_dispatcher is not None:
                # At once: a user's own file has stopped its users itself, and a ramp would start them again.
                master.start(0, max(master.target_user_count, master.user_count, 1))
            for client in master.clients.all:
                client.user_classes_count = {}
            master.is_running = False  # from here on "ready" means ready again
            master.stop()
        with gevent.Timeout(_STOP_TIMEOUT_SECONDS, False):
            while {client.id for client in master.clients.ready} != expected & set(self._workers):
                gevent.sleep(_POLL_SECONDS)

    # The workers

    def _send(self, name: str, order: object, client: str) -> None:
        self._master.send_message(name, to_plain(order), client)

    def _on_hello(self, msg: Message, **_: Any) -> None:
        hello = from_plain(WorkerHello, msg.data)
        worker = hello.worker
        twins = [client for client, name in self._workers.items() if name == worker and client != msg.node_id]
        if twins:
            self._tell(wire.MasterError(f"two load workers are called {worker}", "Stop one of them"))
        self._workers[msg.node_id] = worker
        if hello.user_classes is not None:  # the same in all workers: they run the same file
            self._master.environment.user_classes = stand_ins(hello.user_classes)
        self._tell(wire.WorkerState(worker, "joined"))

    def _on_connections(self, msg: Message, **_: Any) -> None:
        run, held = self._run, from_plain(WorkerConnections, msg.data)
        if run is not None and run.name == held.run and msg.node_id in run.workers:
            run.connections[run.workers[msg.node_id]] = held.connections

    def _on_failed(self, msg: Message, **_: Any) -> None:
        run, failed = self._run, from_plain(WorkerFailed, msg.data)
        worker = self._workers.get(msg.node_id, msg.node_id)
        if run is None or run.name != failed.run:
            self._tell(wire.MasterError(f"{worker}: {failed.message}", "See its log"))
            return
        run.lost.append(worker)
        self._fail(run, f"{worker}: {failed.message}", "See the load worker's log")

    def _on_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        if self._run is None or REPORT not in data:
            return
        report, run = from_plain(WorkerReport, data[REPORT]), self._run
        if report.run != run.name:
            return
        for one in report.slices:
            self._tell(wire.WorkerSlice(run.name, report.worker, one))
        if report.totals is not None:
            run.totals[report.worker] = report.totals

    def _lose(self, client_id: str) -> None:
        worker = self._workers.pop(client_id, None)
        self._master.forget(client_id)
        if worker is None:
            return
        self._tell(wire.WorkerState(worker, "lost"))
        run = self._run
        if run is not None and client_id in run.workers and worker not in run.lost:
            run.lost.append(worker)
            self._fail(run, f"load worker {worker} was lost in run {run.name}", "The run is to be repeated")

    def _fail(self, run: RunUnderWay, message: str, remedy: str) -> None:
        """The command under way ends the run, or else it is ended as if by a command."""
        if run.failure is None:
            run.failure = RunFailed(message, remedy)
            self._commands.put(run)

    def _watch(self) -> None:
        """Notices at once when a worker's connection closes."""
        monitor = self._master.server.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        while True:
            monitor.recv_multipart()
            for client in [client for client in self._workers if not self._master.is_connected(client)]:
                self._lose(client)

    def _watch_heartbeats(self) -> None:
        """Notices when a worker has fallen silent on a connection that still stands."""
        while True:
            gevent.sleep(0.25)
            for client in [client.id for client in self._master.clients.missing]:
                self._lose(client)


def listen(path: Path) -> Any:
    """The unix socket that the controller connects to. Raises OSError (the path is taken, or too long)."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(1)
    listener.settimeout(_CONTROLLER_TIMEOUT_SECONDS)
    return listener


def _start_again_without_locusts_variables() -> None:
    """The user's LOCUST_* variables would change what Locust does, and it reads some on import already."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    if len(clean) != len(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], clean)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Locust's master for one controller")
    parser.add_argument("--control", type=Path, required=True, help="where to make the unix socket")
    parser.add_argument("--workers", type=int, required=True, help="how many load workers are to join")
    options = parser.parse_args(arguments)
    _start_again_without_locusts_variables()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    runners.HEARTBEAT_LIVENESS = _HEARTBEATS_MISSED
    listener = listen(options.control)
    try:
        control, _ = listener.accept()
    except TimeoutError:
        sys.stderr.write(f"no controller came within {_CONTROLLER_TIMEOUT_SECONDS} s\n")
        return 1
    finally:
        listener.close()
        options.control.unlink()
    LoadMaster(control, options.workers).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
