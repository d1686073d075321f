"""start, stop, run."""

from __future__ import annotations

import base64
import contextlib
import signal
import subprocess
import time
from pathlib import Path

from bench.wire.guard import CommandEnded, ProcessStarted, RunCommand, StartProcess, StopProcess
from remote.onhost.guard.child import Launch
from remote.onhost.guard.guard import Entry, Guard
from remote.onhost.guard.reply import Reply


def start(guard: Guard, request: StartProcess, reply: Reply) -> None:
    path = guard.inside(request.log)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as log:
        launch = Launch(
            request.argv,
            request.cwd or guard.workdir,
            subprocess.DEVNULL,
            log,
            subprocess.STDOUT,
            request.env,
            request.cores,
            request.user,
        )
        reply(ProcessStarted(guard.start(request.name, launch).pid))


def stop(guard: Guard, request: StopProcess, reply: Reply) -> None:
    number = signal.Signals[request.signal]
    guard.stop(request.name, number, request.grace_seconds).wait(reply)


class _RunFiles:
    """The files of one command: what it reads, and what it writes."""

    def __init__(self, guard: Guard, request: RunCommand, name: str) -> None:
        self.out, self.err = guard.folder / f"{name}.out", guard.folder / f"{name}.err"
        self.given: Path | None = guard.inside(request.stdin_file) if request.stdin_file else None
        if request.stdin:
            self.given = guard.folder / f"{name}.in"
            self.given.write_bytes(base64.b64decode(request.stdin))

    def remove(self) -> None:
        for path in (self.out, self.err, *([self.given] if self.given else ())):
            path.unlink(missing_ok=True)


def run(guard: Guard, request: RunCommand, reply: Reply) -> None:
    # So named that the next guard finds what is left of it (become.RUN_FILES).
    name = f"run-{next(guard.run_numbers)}"
    files = _RunFiles(guard, request, name)

    def finish(entry: Entry, exit_status: int) -> None:
        stdout, stderr = files.out.read_bytes(), files.err.read_bytes()
        files.remove()
        guard.forget(entry)
        reply(
            CommandEnded(
                exit_status,
                base64.b64encode(stdout).decode(),
                base64.b64encode(stderr).decode(),
                timed_out=entry.deadline is None,
            )
        )

    try:
        with contextlib.ExitStack() as stack:
            given = stack.enter_context(files.given.open("rb")) if files.given else subprocess.DEVNULL
            out, err = (stack.enter_context(path.open("wb")) for path in (files.out, files.err))
            launch = Launch(
                request.argv,
                request.cwd or guard.workdir,
                given,
                out,
                err,
                request.env,
                request.cores,
                request.user,
            )
            entry = guard.start(name, launch, finish)
    except BaseException:
        files.remove()
        raise
    entry.deadline = time.monotonic() + request.timeout_seconds
