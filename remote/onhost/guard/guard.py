"""One session's processes on this host: started, recorded, reaped, stopped, and in the end all stopped."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.wire.guard import Done, ProcessEnded
from remote.onhost.guard.child import Launch, Launcher, send_signal
from remote.onhost.guard.record import write_record
from remote.onhost.guard.refused import Refused
from remote.onhost.guard.stopping import Stopping, leaders
from remote.onhost.processes import family, kin_of, process_table

RELEASE_GRACE_SECONDS = 3.0


class Entry:
    """A process that the guard started: running, being stopped, or ended."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], on_exit: Callable[[Entry, int], None]
    ) -> None:
        self.name = name
        self.process = process
        self.pid = process.pid
        kin = kin_of(process.pid)
        # "" if it has ended already.
        self.started = kin.started if kin else ""
        self.exit_status: int | None = None
        self.on_exit = on_exit
        # When a command of the verb ``run`` is killed (monotonic); None: never, or it was.
        self.deadline: float | None = None
        self.stopping: Stopping | None = None


class Guard:
    """All that the verbs act on."""

    def __init__(
        self,
        folder: Path,
        lease_seconds: float,
        announce: Callable[[ProcessEnded], None],
    ) -> None:
        """``announce`` is called for each process that has ended by itself or by a stop."""
        self.folder = folder
        self.workdir = folder.parent
        # Commands of the verb ``run`` have no name of their own.
        self.run_numbers = itertools.count(1)
        self.releasing = False
        self._lease_seconds = lease_seconds
        self._launcher = Launcher()
        self._launcher.adopt_orphans()
        self._announce = announce
        self._entries: dict[str, Entry] = {}
        self._after_release: list[Callable[[Done], None]] = []
        self.renew()

    # -- the lease

    def renew(self) -> None:
        self._lease_ends = time.monotonic() + self._lease_seconds

    def why_expired(self) -> str:
        """ "" while the lease lasts."""
        expired = time.monotonic() > self._lease_ends
        return f"no renewal within {self._lease_seconds:g} s" if expired else ""

    # -- paths

    def inside(self, path: str) -> Path:
        """The path itself, which must not lead out of the work folder. Raises Refused."""
        resolved = (self.workdir / path).resolve()
        if not resolved.is_relative_to(self.workdir.resolve()):
            raise Refused("outside", f"{path} is outside {self.workdir}")
        return resolved

    # -- starting

    def start(self, name: str, launch: Launch, on_exit: Callable[[Entry, int], None] | None = None) -> Entry:
        """Raises Refused. ``on_exit`` is called with the exit status instead of announcing it."""
        if self.releasing:
            raise Refused("releasing", "the guard is releasing the host")
        old = self._entries.get(name)
        if old is not None and old.exit_status is None:
            raise Refused("running", f"{name} runs already as pid {old.pid}")
        process = self._launcher.start(launch)
        entry = self._entries[name] = Entry(name, process, on_exit or self._announce_exit)
        self._record()
        return entry

    def forget(self, entry: Entry) -> None:
        """Of a process that has ended, and that is not being stopped."""
        if entry.stopping is None:
            del self._entries[entry.name]

    def reap(self) -> None:
        """Take note of every process that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for entry in list(self._entries.values()):
                if entry.pid == pid and entry.exit_status is None:
                    entry.exit_status = os.waitstatus_to_exitcode(status)
                    entry.process.returncode = entry.exit_status
                    entry.on_exit(entry, entry.exit_status)
                    self._record()

    def _announce_exit(self, entry: Entry, exit_status: int) -> None:
        self._announce(ProcessEnded(entry.name, exit_status))

    # -- stopping

    @property
    def is_stopping(self) -> bool:
        return self.releasing or any(entry.stopping for entry in self._entries.values())

    @property
    def has_deadlines(self) -> bool:
        return any(entry.deadline is not None for entry in self._entries.values())

    def stop(self, name: str, number: int, grace_seconds: float) -> Stopping:
        """Begin to stop a process, if that has not begun. Raises Refused."""
        entry = self._entries.get(name)
        if entry is None:
            raise Refused("unknown", f"no process named {name}")
        return self._begin_stop(entry, number, grace_seconds)

    def advance(self) -> None:
        """Go on with all that is under way: overdue commands, stops."""
        now = time.monotonic()
        for entry in self._entries.values():
            if entry.deadline is not None and entry.exit_status is None and now > entry.deadline:
                entry.deadline = None
                self._begin_stop(entry, signal.SIGKILL, 0.0)
        stopping = [(entry, entry.stopping) for entry in self._entries.values() if entry.stopping]
        if not stopping:
            return
        table = process_table()
        for entry, stop in stopping:
            if stop.advance(entry.exit_status, table):
                entry.stopping = None
                self._kill_strays()
                self._record()

    def release(self, answer: Callable[[Done], None] | None = None) -> None:
        """Stop everything; ``answer`` is called when nothing is left."""
        if answer is not None:
            self._after_release.append(answer)
        self.releasing = True
        for entry in self._entries.values():
            self._begin_stop(entry, signal.SIGTERM, RELEASE_GRACE_SECONDS)

    def is_released(self) -> bool:
        """Whether a release has ended; then it has been answered."""
        if not self.releasing or any(entry.stopping for entry in self._entries.values()):
            return False
        if self._kill_strays():
            return False
        for answer in self._after_release:
            answer(Done())
        return True

    def _begin_stop(self, entry: Entry, number: int, grace_seconds: float) -> Stopping:
        if entry.stopping is None:
            entry.stopping = Stopping(entry.pid, entry.started, grace_seconds, process_table())
            if entry.exit_status is None:
                send_signal(entry.pid, number)
        return entry.stopping

    def _kill_strays(self) -> int:
        """Kill orphans that the guard has adopted and that belong to none of its processes; how many."""
        if sys.platform != "linux":
            return 0
        table = process_table()
        ours = leaders([(entry.pid, entry.started) for entry in self._entries.values()], table)
        known = set(family(ours, table))
        strays = [pid for pid, kin in table.items() if kin.parent == os.getpid() and pid not in known]
        for pid in strays:
            send_signal(pid, signal.SIGKILL)
        return len(strays)

    def _record(self) -> None:
        write_record(
            self.folder,
            [
                (entry.name, entry.pid, entry.started)
                for entry in self._entries.values()
                if entry.exit_status is None or entry.stopping is not None
            ],
        )
