"""Locust's master and load workers on this machine, in one folder, without guards and SSH."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from bench.clients import USUAL_CLIENT
from bench.wire import master as wire
from bench.wire.codec import encode_tagged
from loadgen.cluster import (
    LoadProgram,
    load_program,
    master_command,
    read_event,
    worker_command,
    worker_environment,
)
from remote.provision.ship import ROOT

Event = TypeVar("Event")


class LoopbackCluster:
    """A controller's side of bench/wire/master.py, with a master and its workers as child processes.

    ``locustfile`` is a user's own that the workers are to run, in place of the engine.
    """

    def __init__(
        self, folder: Path, workers: int, core: int | None = None, locustfile: Path | None = None
    ) -> None:
        self.folder = folder
        self.events: list[object] = []
        self._pin = [] if core is None else ["taskset", "-c", str(core)]
        self._program = load_program(USUAL_CLIENT, None)
        if locustfile is not None:
            own = load_program(USUAL_CLIENT, locustfile.name)
            self._program = LoadProgram(own.locustfile, os.path.relpath(locustfile, ROOT))
        home = folder / "home"
        home.mkdir()
        self.master = subprocess.Popen(
            [*self._pin, *master_command(str(workers))],
            cwd=home,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._control = self._connect(folder / "master.sock")
        self._lines = self._control.makefile("rb")
        self.port = self.expect(wire.MasterListening).port
        self.workers = {f"here/{number}": self._start_worker(number) for number in range(workers)}
        for _ in self.workers:
            self.expect(wire.WorkerState)

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
        command = worker_command(str(Path(sys.executable).parent), str(ROOT), self._program, str(self.port))
        environment = worker_environment(
            f"here/{number}", str(ROOT), self._program, spool=str(home), home=str(home)
        )
        return subprocess.Popen(
            [*self._pin, *command, "-L", "WARNING"],
            cwd=home,
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
        )

    def tell(self, command: object) -> None:
        """One of bench.wire.master.COMMANDS."""
        self.send_line(encode_tagged(wire.COMMANDS, "do", command))

    def send_line(self, line: bytes) -> None:
        self._control.sendall(line)

    def next_event(self) -> object:
        """Raises TimeoutError after 60 s, EOFError when the master has ended."""
        line = self._lines.readline()
        if not line:
            raise EOFError("the master has ended")
        event = read_event(line)
        self.events.append(event)
        return event

    def expect(self, kind: type[Event], **fields: Any) -> Event:
        """The next event of that kind with those fields; those before it are kept in ``events``."""
        while True:
            event = self.next_event()
            if isinstance(event, kind) and all(getattr(event, name) == fields[name] for name in fields):
                return event
            match event:
                case wire.MasterError():
                    raise RuntimeError(f"waiting for {kind.__name__}: {event.message}")

    def slices(self, run: str, worker: str | None = None) -> Sequence[wire.WorkerSlice]:
        """Those that have come of a run, of one worker or of all."""
        come = [event for event in self.events if isinstance(event, wire.WorkerSlice) and event.run == run]
        return [event for event in come if worker in (None, event.worker)]

    def wait_for_slice(self, run: str, k: int) -> None:
        """Until every worker's slice k is there."""
        while sum(event.slice.k == k for event in self.slices(run)) < len(self.workers):
            self.next_event()
