"""Processes on Linux: straight from /proc, which costs less CPU than psutil's way through it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from bench.wire.samples import FullRow, ProcessRow, QuotaRow, ThreadRow
from remote.onhost.agent.readers import FullReading, Handle
from remote.onhost.processes import Gone, Kin, Unreadable, gone_or_unreadable, read_file, stat_fields
from remote.onhost.quota import quotas_here

MAX_THREADS = 64
# A process hardly ever changes its control group, and asking for it takes three system calls.
READINGS_BETWEEN_GROUPS = 10


def rollup_sums(text: bytes) -> tuple[int, int]:
    """(PSS, USS) in KiB from smaps_rollup. Raises Gone where it is empty: the process has no memory left."""
    pss = uss = -1
    for line in text.splitlines():
        name, _, rest = line.partition(b":")
        if name == b"Pss":
            pss = int(rest.split()[0])
        elif name in (b"Private_Clean", b"Private_Dirty", b"Private_Hugetlb"):
            uss = max(uss, 0) + int(rest.split()[0])
    if pss < 0 or uss < 0:
        raise Gone
    return pss, uss


def switch_counts(status: bytes) -> tuple[int, int]:
    """(voluntary, involuntary) context switches of one thread from its status."""
    voluntary, _, involuntary = status.partition(b"\nvoluntary_ctxt_switches:")[2].partition(
        b"\nnonvoluntary_ctxt_switches:"
    )
    return int(voluntary), int(involuntary.split(None, 1)[0])


def opened(path: str) -> int:
    """Raises Gone, Unreadable."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise gone_or_unreadable(error) from error


def read_again(file: int, size: int) -> bytes:
    """An open file of /proc from its start. Raises Gone, Unreadable."""
    try:
        return os.pread(file, size, 0)
    except OSError as error:
        raise gone_or_unreadable(error) from error


class ProcThread:
    """One thread, its files held open."""

    def __init__(self, pid: int, thread: str, folder: str, *, has_schedstat: bool) -> None:
        """Raises Gone, Unreadable."""
        self._pid, self._thread = pid, int(thread)
        self._schedstat = -1
        self._status = opened(f"{folder}/status")
        if has_schedstat:
            try:
                self._schedstat = opened(f"{folder}/schedstat")
            except (Gone, Unreadable):
                self.close()
                raise

    def switches(self) -> tuple[int, int]:
        """Raises Gone, Unreadable."""
        return switch_counts(read_again(self._status, 4096))

    def row(self) -> ThreadRow | None:
        """None: the kernel doesn't report it. Raises Gone, Unreadable."""
        if self._schedstat < 0:
            return None
        on_core, waited, _ = read_again(self._schedstat, 128).split()
        return ThreadRow(self._pid, self._thread, round(int(on_core) * 1e-9, 6), round(int(waited) * 1e-9, 6))

    def close(self) -> None:
        for file in (self._status, self._schedstat):
            if file >= 0:
                os.close(file)
        self._status = self._schedstat = -1


class ProcHandle:
    """stat and statm stay open: a later process with the same number never answers on them."""

    def __init__(self, reader: ProcReader, pid: int) -> None:
        self._reader = reader
        self._pid = pid
        self._folder = f"{reader.root}/{pid}"
        self._threads: dict[str, ProcThread] = {}
        self._children_ticks = self._readings = 0
        self._group: bytes | None = None
        self._stat = self._statm = -1
        try:
            self._stat = opened(f"{self._folder}/stat")
            self._statm = opened(f"{self._folder}/statm")
        except (Gone, Unreadable):
            self.close()
            raise

    def basic(self) -> ProcessRow:
        reader = self._reader
        try:
            fields = stat_fields(os.pread(self._stat, 1024, 0))
            rss_pages = int(os.pread(self._statm, 128, 0).split(b" ", 2)[1])
        except OSError as error:
            raise gone_or_unreadable(error) from error
        ticks = int(fields[11]) + int(fields[12])
        self._children_ticks = int(fields[13]) + int(fields[14])
        return ProcessRow(
            self._pid, rss_pages * reader.page_kib, ticks * reader.tick_seconds, int(fields[17])
        )

    def full(self) -> FullReading:
        """The CPU of ended children is that of the last ``basic``, which has read it already."""
        refused: dict[str, str] = {}
        pss = uss = files = voluntary = involuntary = None
        rows: tuple[ThreadRow, ...] = ()
        # Opened anew each time: an open smaps_rollup stays with the memory from before an exec.
        if "pss" not in self._reader.absent:
            try:
                pss, uss = rollup_sums(read_file(f"{self._folder}/smaps_rollup"))
            except Unreadable as error:
                refused["pss, uss"] = str(error)
        try:
            files = self._open_files()
        except Unreadable as error:
            refused["open_files"] = str(error)
        try:
            voluntary, involuntary, rows = self._of_threads()
        except Unreadable as error:
            refused["switches"] = str(error)
        children_seconds = round(self._children_ticks * self._reader.tick_seconds, 2)
        row = FullRow(self._pid, pss, uss, files, voluntary, involuntary, children_seconds)
        return FullReading(row, rows, refused)

    def group(self) -> bytes | None:
        if self._readings % READINGS_BETWEEN_GROUPS == 0:
            try:
                self._group = read_file(f"{self._folder}/cgroup")
            except Gone:  # so it is said of the file where a kernel has no control groups
                self._group = None
        self._readings += 1
        return self._group

    def _open_files(self) -> int:
        try:
            # From Linux 6.2 on the folder's size is the count; before, it is 0.
            return os.stat(f"{self._folder}/fd").st_size or len(os.listdir(f"{self._folder}/fd"))  # noqa: PTH116, PTH208
        except OSError as error:
            raise gone_or_unreadable(error) from error

    def _of_threads(self) -> tuple[int, int, tuple[ThreadRow, ...]]:
        """Context switches of all threads, voluntary and not, and each thread's row."""
        self._find_threads()
        voluntary = involuntary = 0
        rows: list[ThreadRow] = []
        for name, thread in list(self._threads.items()):
            try:
                counts, row = thread.switches(), thread.row()
            except Gone:  # it has just ended
                self._threads.pop(name).close()
                continue
            voluntary += counts[0]
            involuntary += counts[1]
            if row is not None:
                rows.append(row)
        return voluntary, involuntary, tuple(rows)

    def _find_threads(self) -> None:
        try:
            names = os.listdir(f"{self._folder}/task")  # noqa: PTH208
        except OSError as error:
            raise gone_or_unreadable(error) from error
        for ended in self._threads.keys() - names:
            self._threads.pop(ended).close()
        if len(names) > MAX_THREADS:
            raise Unreadable(f"more than {MAX_THREADS} threads")
        for name in names:
            if name not in self._threads:
                with contextlib.suppress(Gone):
                    self._threads[name] = ProcThread(
                        self._pid,
                        name,
                        f"{self._folder}/task/{name}",
                        has_schedstat="threads" not in self._reader.absent,
                    )

    def close(self) -> None:
        for thread in self._threads.values():
            thread.close()
        self._threads.clear()
        for file in (self._stat, self._statm):
            if file >= 0:
                os.close(file)
        self._stat = self._statm = -1


class ProcReader:
    """Linux. ``root`` is /proc, or a stand-in for it."""

    name = "proc"

    def __init__(self, root: str = "/proc") -> None:
        self.root = root
        self.page_kib = os.sysconf("SC_PAGE_SIZE") // 1024
        self.tick_seconds = 1 / os.sysconf("SC_CLK_TCK")
        self.absent: dict[str, str] = {}
        if not Path(root, "self", "smaps_rollup").exists():
            self.absent["pss"] = self.absent["uss"] = "this kernel has no smaps_rollup"
        if not Path(root, "self", "schedstat").exists():
            self.absent["threads"] = "this kernel has no schedstat"
        self._quotas = quotas_here()
        self._loadavg = self._open_loadavg()
        if self._loadavg >= 0 and not self._reports_newest():
            self._close_loadavg()

    def _open_loadavg(self) -> int:
        """Its last word is the newest process number, threads included. -1: it is not the kernel's own."""
        try:
            own = os.stat(f"{self.root}/{os.getpid()}/stat")  # noqa: PTH116
            file = os.open(f"{self.root}/loadavg", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # another process namespace's /proc
            return -1
        if os.fstat(file).st_dev == own.st_dev:
            return file
        os.close(file)
        return -1

    def _reports_newest(self) -> bool:
        """Tried, because sandboxes answer with a constant."""
        before = self.newest()
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        return self.newest() != before

    def newest(self) -> bytes | None:
        if self._loadavg < 0:
            return None
        return os.pread(self._loadavg, 128, 0).rpartition(b" ")[2]

    def pids(self) -> Iterable[int]:
        return map(int, filter(str.isdigit, os.listdir(self.root)))  # noqa: PTH208

    def kin(self, pid: int) -> Kin:
        fields = stat_fields(read_file(f"{self.root}/{pid}/stat"))
        return Kin(int(fields[1]), int(fields[3]))

    def hold(self, pid: int) -> Handle:
        return ProcHandle(self, pid)

    def quotas(self, groups: Iterable[bytes]) -> tuple[QuotaRow, ...]:
        return self._quotas.rows(groups)

    def close(self) -> None:
        self._quotas.close()
        self._close_loadavg()

    def _close_loadavg(self) -> None:
        if self._loadavg >= 0:
            os.close(self._loadavg)
            self._loadavg = -1
