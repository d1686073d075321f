"""The yardstick: fixed work whose duration says how fast a core is at this moment.

In the agent, because it is there already: another process would share pages with the server, whose PSS would
fall for it. A piece is shorter than the time between two samples, so that none is missed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator

from bench.wire.agent import Gauged
from remote.onhost.agent.refusal import RequestRefused

# Some 5 ms of computing and 3 ms of the kernel's work on a core of 2024.
STEPS = 15_000
ROUNDS = 200
WARM_UP_SHARE = 0.1
# A table as large as what a server touches in a few requests, so that caches count.
ENTRIES = 4_000
MESSAGE = b"x" * 150
PATIENCE_SECONDS = 1.0


class Yardstick:
    """Its table and its connection are made at the first reading, and kept: every reading finds the same."""

    def __init__(self) -> None:
        self._table: list[dict[str, object]] = []
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def gauge(self, core: int | None) -> Gauged:
        """Do the work once on ``core``. Raises RequestRefused where that can't be done."""
        try:
            if not self._table:
                self._table = [{"number": index, "text": str(index) * 4} for index in range(ENTRIES)]
            if self._ends is None:
                self._ends = _connection()
            with _pinned_to(core) as pinned:
                self._compute(int(STEPS * WARM_UP_SHARE))
                computing = _timed(lambda: self._compute(STEPS))
                _exchange(self._ends, int(ROUNDS * WARM_UP_SHARE))
                kernel = _timed(lambda: self._exchange_all())
        except OSError as error:
            self.close()
            raise RequestRefused(
                "yardstick",
                f"the yardstick's work can't be done on core {core}: {error}",
                "See that the agent may use that core, and TCP on 127.0.0.1",
            ) from error
        return Gauged(pinned, *computing, *kernel)

    def close(self) -> None:
        for end in self._ends or ():
            end.close()
        self._ends = None

    def _exchange_all(self) -> None:
        if self._ends is not None:
            _exchange(self._ends, ROUNDS)

    def _compute(self, steps: int) -> int:
        """Dictionaries, strings and numbers, entry after entry in an order that caches can't foresee."""
        table, total = self._table, 0
        found: dict[str, int] = {}
        for step in range(steps):
            entry = table[step * 2_654_435_761 % ENTRIES]
            text = str(entry["text"])
            found[text] = total
            total = (total + len(text.encode())) ^ step
        return total


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU of this thread, and by the clock."""
    wall, cpu = time.perf_counter(), time.thread_time()
    work()
    return round(time.thread_time() - cpu, 7), round(time.perf_counter() - wall, 7)


def _exchange(ends: tuple[socket.socket, socket.socket], rounds: int) -> None:
    near, far = ends
    for _ in range(rounds):
        near.sendall(MESSAGE)
        far.recv(len(MESSAGE), socket.MSG_WAITALL)
        far.sendall(MESSAGE)
        near.recv(len(MESSAGE), socket.MSG_WAITALL)


def _connection() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection over loopback."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        listener.settimeout(PATIENCE_SECONDS)
        near = socket.create_connection(listener.getsockname(), PATIENCE_SECONDS)
        try:
            far, _ = listener.accept()
        except OSError:
            near.close()
            raise
    for end in (near, far):
        end.settimeout(PATIENCE_SECONDS)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


@contextlib.contextmanager
def _pinned_to(core: int | None) -> Iterator[int | None]:
    """This thread on ``core`` meanwhile; the core, or None where the system can't pin. Raises OSError."""
    if core is None or sys.platform != "linux":
        yield None
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, before)
