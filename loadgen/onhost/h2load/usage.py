"""What another process of ours has used until now, threads that have ended included."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """Since the process began. 0 where the system doesn't tell."""

    cpu_seconds: float = 0.0
    waited_seconds: float = 0.0  # ready to run, while its core had others
    read_bytes: int = 0  # by read() and its kin: from sockets, and from files at its start

    def at_least(self, earlier: Usage) -> Usage:
        """A process that has just ended tells less than it had told."""
        return Usage(
            max(self.cpu_seconds, earlier.cpu_seconds),
            max(self.waited_seconds, earlier.waited_seconds),
            max(self.read_bytes, earlier.read_bytes),
        )


def usage_of(pid: int) -> Usage:
    """Of a process that runs; of one that has gone as much as is still told."""
    return Usage(_cpu_seconds(pid), _waited_seconds(pid), _read_bytes(pid))


def sockets_of(pid: int) -> int | None:
    """How many sockets it has open; None: it can't be told, or it has ended."""
    if sys.platform != "linux":
        return _portable_sockets(pid)
    try:
        held = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # one was closed meanwhile, or all
        return None
    return sum(target.startswith("socket:") for target in held)


def _portable_sockets(pid: int) -> int | None:
    import psutil

    try:
        return len(psutil.Process(pid).net_connections("inet"))
    except psutil.Error:
        return None


def _cpu_seconds(pid: int) -> float:
    if sys.platform != "linux":
        return _portable_cpu_seconds(pid)
    try:
        # clock_getcpuclockid(3), which Python has for threads alone: CPUCLOCK_SCHED of a process.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _portable_cpu_seconds(pid: int) -> float:
    import psutil

    try:
        used = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(used.user + used.system)


def _waited_seconds(pid: int) -> float:
    waited = 0
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            waited += int((task / "schedstat").read_text().split()[1])
        except OSError:
            continue
    return waited / 1e9


def _read_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("rchar:")), 0)
