"""The process trees of all targets, kept up to date."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence

from bench.wire.samples import Note, ProcessRow
from remote.onhost.agent.readers import Handle, Reader
from remote.onhost.agent.refusal import RequestRefused
from remote.onhost.processes import Gone, Kin, Unreadable

# What looking for new processes may take of one core.
DISCOVERY_SHARE = 0.01
# Even if the system says that no process was created.
DISCOVERY_INTERVAL_SECONDS = 1.0


class Forest:
    """The trees of all targets. A process belongs to its nearest ancestor that is a target."""

    def __init__(
        self, reader: Reader, targets: Mapping[str, int], also: Mapping[str, Sequence[int]] = {}
    ) -> None:
        """``also`` are further roots of a target. Raises RequestRefused where one is gone or hidden."""
        self._reader = reader
        self._newest: bytes | None = None
        self._strangers: set[int] = set()
        self._target_of: dict[int, str] = {}
        self._session_of: dict[int, str] = {}
        self.members: dict[str, dict[int, Handle | None]] = {name: {} for name in targets}
        self.notes: list[Note] = []
        self._not_before = self._look_anyway_at = 0.0
        try:
            for name, pid in targets.items():
                for root in (pid, *also.get(name, ())):
                    self._plant(name, root)
        except RequestRefused:
            self.close()
            raise
        self._look()

    def _plant(self, name: str, pid: int) -> None:
        try:
            kin = self._reader.kin(pid)
            self._add(pid, name)
        except (Gone, Unreadable) as error:
            state = (
                "has ended, or is hidden from this user"
                if isinstance(error, Gone)
                else f"is unreadable: {error}"
            )
            remedy = "See the log of what should run there"
            raise RequestRefused("no_process", f"target {name}: process {pid} {state}", remedy) from error
        if kin.session == pid:
            self._session_of[pid] = name

    def _add(self, pid: int, name: str) -> None:
        try:
            handle: Handle | None = self._reader.hold(pid)
        except Unreadable as error:
            handle = None
            self.notes.append(Note(pid, "process", str(error)))
        self._target_of[pid] = name
        self.members[name][pid] = handle

    def discover(self, now: float) -> None:
        """Find what is new. ``now`` is monotonic; after a slow look the next one is put off."""
        newest = self._reader.newest()
        is_unchanged = newest is not None and newest == self._newest
        if now < (self._look_anyway_at if is_unchanged else self._not_before):
            return
        self._newest = newest
        began = time.thread_time()
        self._look()
        self._not_before = now + (time.thread_time() - began) / DISCOVERY_SHARE
        self._look_anyway_at = max(self._not_before, now + DISCOVERY_INTERVAL_SECONDS)

    def _look(self) -> None:
        pids = set(self._reader.pids())
        self._strangers &= pids
        alive = {pid for members in self.members.values() for pid in members}
        unknown: dict[int, Kin] = {}
        for pid in pids - self._strangers - alive:
            with contextlib.suppress(Gone, Unreadable):
                unknown[pid] = self._reader.kin(pid)
        while unknown:
            placed = {pid: name for pid, kin in unknown.items() if (name := self._place(kin)) is not None}
            if not placed:
                break
            for pid, name in placed.items():
                del unknown[pid]
                with contextlib.suppress(Gone):
                    self._add(pid, name)
        self._strangers |= unknown.keys()

    def _place(self, kin: Kin) -> str | None:
        name = self._target_of.get(kin.parent)
        return name if name is not None else self._session_of.get(kin.session)

    def basic(self, name: str, pid: int) -> ProcessRow:
        """Raises Gone, Unreadable. A process that could not be held is tried again."""
        members = self.members[name]
        handle = members[pid]
        if handle is None:
            handle = members[pid] = self._reader.hold(pid)
        return handle.basic()

    def drop(self, name: str, pid: int) -> None:
        """A process of a tree has ended."""
        self._target_of.pop(pid, None)
        handle = self.members[name].pop(pid)
        if handle is not None:
            handle.close()

    def close(self) -> None:
        for name, members in self.members.items():
            for pid in list(members):
                self.drop(name, pid)
