"""A stop under way: which processes it ends, which requests wait for it, and when it kills."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from bench.wire.guard import ProcessExit
from remote.onhost.guard.child import send_signal
from remote.onhost.processes import Kin, family

# What outlives the process that was stopped gets so much time.
STRAGGLER_SECONDS = 0.3


class Stopping:
    """``advance`` is called again and again until it says that nothing is left."""

    def __init__(self, leader: int, started: str, grace_seconds: float, table: dict[int, Kin]) -> None:
        self._since = time.monotonic()
        self._kill_at = self._since + grace_seconds
        self._leader, self._started = leader, started
        # {pid: start time}: remembers also those that a dying parent leaves to the guard.
        self._members = {pid: table[pid].started for pid in family(self._leaders(table), table)}
        self._killed: set[int] = set()
        self._waiting: list[Callable[[ProcessExit], None]] = []

    def wait(self, answer: Callable[[ProcessExit], None]) -> None:
        """Have ``answer`` called when the stop has ended."""
        self._waiting.append(answer)

    def advance(self, exit_status: int | None, table: dict[int, Kin]) -> bool:
        """Kill what has had its time. True: the leader has ended (``exit_status``), and nothing is left."""
        alive = self._find(table)
        if exit_status is not None and not alive:
            self._finish(exit_status)
            return True
        now = time.monotonic()
        if exit_status is not None:
            self._kill_at = min(self._kill_at, now + STRAGGLER_SECONDS)
        if now >= self._kill_at:
            self._kill(alive)
        return False

    def _find(self, table: dict[int, Kin]) -> list[int]:
        """The live processes that are meant, those included that were made since the last look."""
        known = {pid for pid, began in self._members.items() if pid in table and table[pid].started == began}
        alive = family(self._leaders(table) | known, table)
        self._members.update((pid, table[pid].started) for pid in alive)
        return alive

    def _leaders(self, table: dict[int, Kin]) -> set[int]:
        return leaders([(self._leader, self._started)], table)

    def _kill(self, pids: list[int]) -> None:
        for pid in pids:
            send_signal(pid, signal.SIGKILL)
        self._killed.update(pids)

    def _finish(self, exit_status: int) -> None:
        ended = ProcessExit(exit_status, len(self._killed), time.monotonic() - self._since)
        for answer in self._waiting:
            answer(ended)


def leaders(started: list[tuple[int, str]], table: dict[int, Kin]) -> set[int]:
    """Of (process number, start time) the numbers that no later process has by now."""
    return {pid for pid, began in started if pid not in table or table[pid].started == began}
