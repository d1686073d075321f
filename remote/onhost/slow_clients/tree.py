"""The memory of the server's process tree, by the agent's own reader."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Iterator

from bench.wire.slow_clients import TreeMemory
from remote.onhost.agent.forest import Forest
from remote.onhost.agent.host import reader_here
from remote.onhost.processes import Gone, Unreadable

SERVER = "server"


class ServerTree:
    """The server's processes, those that it starts later too."""

    def __init__(self, pid: int) -> None:
        """Raises RequestRefused where there is no such process."""
        self._reader = reader_here()
        self._forest = Forest(self._reader, {SERVER: pid})

    def close(self) -> None:
        self._forest.close()
        self._reader.close()

    @property
    def pids(self) -> tuple[int, ...]:
        self._forest.discover(time.monotonic())
        return tuple(self._forest.members[SERVER])

    def rss_bytes(self) -> int:
        """Summed over the processes; cheap enough to be read often."""
        return sum(self._rss_kib(pid) for pid in self.pids) * 1024

    def read(self) -> TreeMemory:
        pss_kib: int | None = 0
        rss_kib = 0
        for pid in self.pids:
            rss_kib += self._rss_kib(pid)
            handle = self._forest.members[SERVER].get(pid)
            if handle is None:
                pss_kib = None
                continue
            with contextlib.suppress(Gone):
                pss = handle.full().row.pss_kib
                pss_kib = None if pss is None or pss_kib is None else pss_kib + pss
        return TreeMemory(rss_kib * 1024, None if pss_kib is None else pss_kib * 1024)

    def _rss_kib(self, pid: int) -> int:
        try:
            return self._forest.basic(SERVER, pid).rss_kib or 0
        except (Gone, Unreadable):
            return 0

    @property
    def is_running(self) -> bool:
        return any(self._rss_kib(pid) for pid in self.pids)

    def allow_files(self, count: int) -> str:
        """Let each process open so many, as far as the system does; why not all, or ""."""
        if not sys.platform.startswith("linux"):
            return "this system lets nobody raise the server's limit of open files"
        lowest = min((_raised(pid, count) for pid in self.pids), default=count)
        return "" if lowest >= count else f"the server may open {lowest:,} files"


def allow_own_files(count: int) -> str:
    """The same of this process."""
    least = _raised(0, count) if sys.platform.startswith("linux") else _raised_here(count)
    return "" if least >= count else f"the client may open {least:,} files"


def _raised(pid: int, count: int) -> int:
    """The limit of one process, raised to ``count`` where it was lower and may be raised."""
    if sys.platform != "linux":
        return count
    try:
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        if soft >= count:
            return soft
        try:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, max(hard, count)))
        except (PermissionError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(count, hard), hard))
        return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
    except ProcessLookupError:
        return count


def _raised_here(count: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except ValueError:  # macOS allows fewer than its hard limit says
            return soft
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@contextlib.contextmanager
def server_tree(pid: int) -> Iterator[ServerTree]:
    tree = ServerTree(pid)
    try:
        yield tree
    finally:
        tree.close()
