"""The agent: samples memory and CPU of process trees on one host, while a benchmark runs there.

Shipped to each host as one file; standard library and psutil; Python 3.11, Linux and macOS.

``agent.py --control PATH --directory D`` listens on the unix socket PATH until told to quit (or SIGTERM,
SIGINT). It depends on nothing but its own disk: a run goes on when every client has gone. "ready" on stdout
says that it listens. Exit statuses: 0 told to quit or signalled; 3 another agent answers on PATH; 4 it could
not start (stderr says why).

Requests are JSON lines, answered by a JSON line each, ``{"ok": true, ...}`` or
``{"ok": false, "kind": ..., "error": ..., "remedy": ...}``; kinds: request, busy, idle, no_process, storage.

    {"do": "begin", "run": NAME, "targets": {NAME: PID, ...}, "interval_seconds": 0.1,
     "full_interval_seconds": 1.0, "max_seconds": 3600}   -> {"path": ..., "processes": {NAME: n}}
    {"do": "mark", "name": NAME}      -> {"t": ...}
    {"do": "peek"}                    -> {"t": ..., "agent_cpu_seconds": ..., "targets": {NAME: {"rss_bytes",
                                         "cpu_seconds", "processes", "core_share"}}}
    {"do": "end"}                     -> {"run", "path", "lines", "bytes", "sha256", "reason", "samples",
                                         "missed", "late_max", "late_mean"}
    {"do": "status"}                  -> {"pid", "version", "running": NAME or null, "last": what end told}
    {"do": "quit"}

A run stops by itself when every target has gone (reason targets_gone), after ``max_seconds`` (max_seconds),
or when the disk refuses; ``end`` then tells what became of it. Other reasons: asked, quit, signal. If the
answer to ``end`` is lost, ``status`` repeats it. ``begin`` replaces an earlier run's file of the same name.

A target's tree: the process, the members of its session if it leads one, and all descendants of these, found
within one interval. What daemonises into a session of its own between two samples is lost.

D/NAME.jsonl has one JSON object a line; "k" says which kind:

    head  the first: version, host, clocks, intervals, targets, what is absent here and why
    s     a sample: "m" monotonic seconds; "p" {target: [[pid, rss_kib, cpu_seconds, threads], ...]}.
          Once a full interval also "t" wall clock, "c" CPU seconds of this agent since its start, "late" the
          worst lateness in seconds, "missed" the slots lost since the run began, "u" [[busy_seconds,
          stolen_seconds], ...] of each core of the host since its boot, by all programs (null where the
          system doesn't tell), "n" [bytes sent, received] by its interfaces without loopback, and full
          readings, rarer for a target where they cost much:
          "f" {target: [[pid, pss_kib, uss_kib, open_files, voluntary_switches, involuntary_switches], ...]}
    mark  "name", "t", "m"
    gone  "target": its last process has ended; "t", "m"
    note  "pid", "what" could not be read, "why"; said once
    end   the last: "reason", "lines" before it, "samples", "missed", "late_max", "late_mean", "c", "t", "m"

null stands for what could not be read. Times on one clock: head.t + (m - head.m). CPU seconds are of user and
system together, of all threads. Context switches are summed over the threads (null above 64 threads).
On Linux RSS is the kernel's running count in /proc/PID/statm; some kernels let it lag by 64 pages a core.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import json
import os
import platform
import resource
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psutil

AGENT_VERSION = 1
ALREADY_STATUS = 3
FAILED_STATUS = 4
MAX_SECONDS = 86_400.0
MAX_THREADS = 64
LINE_LIMIT_BYTES = 65_536
# What looking for new processes, and what the full readings of all targets, may take of one core. A target's
# full readings become rarer when they take more than its part: smaps_rollup walks every page.
DISCOVERY_SHARE = 0.01
# Even if the system says that no process was created.
DISCOVERY_INTERVAL_SECONDS = 1.0
FULL_SHARE = 0.005

Message = dict[str, Any]


class Gone(Exception):
    """The process has ended (a zombie has, too)."""


class Unreadable(Exception):
    """The system refuses; the text says why."""


class Refused(Exception):
    """A request that can't be met; ``kind`` is for the program, text and remedy are for the reader."""

    def __init__(self, kind: str, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.remedy = remedy


class Kin(NamedTuple):
    """What a process's place in a tree goes by."""

    parent: int
    session: int


class Basic(NamedTuple):
    rss_kib: int
    cpu_seconds: float
    threads: int


class Full(NamedTuple):
    """None: not to be had. ``refused`` says of each part why it could not be read here and now."""

    pss_kib: int | None
    uss_kib: int | None
    open_files: int | None
    voluntary_switches: int | None
    involuntary_switches: int | None
    refused: dict[str, str]


class Handle(Protocol):
    """One process, held so that a later one with the same number is never taken for it."""

    def basic(self) -> Basic:
        """Raises Gone, Unreadable."""

    def full(self) -> Full:
        """Raises Gone."""

    def close(self) -> None: ...


class Reader(Protocol):
    """How this system tells of its processes. ``absent`` maps what it never tells to the reason."""

    name: str
    absent: dict[str, str]

    def newest(self) -> bytes | None:
        """Differs from its last value if a process was created since; None if the system doesn't say."""

    def pids(self) -> Iterable[int]:
        """Every process that can be seen."""

    def kin(self, pid: int) -> Kin:
        """Raises Gone, Unreadable."""

    def hold(self, pid: int) -> Handle:
        """Raises Gone, Unreadable."""


# ---------------------------------------------------------------- Linux: /proc, without psutil's detours


def _gone_or_unreadable(error: OSError) -> Exception:
    if error.errno in (errno.ENOENT, errno.ESRCH, errno.ENOTDIR):
        return Gone()
    return Unreadable(os.strerror(error.errno or 0))


def read_file(path: str, size: int = 4096) -> bytes:
    """The start of a file, as bytes. Raises Gone, Unreadable."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(file, size)
        finally:
            os.close(file)
    except OSError as error:
        raise _gone_or_unreadable(error) from error


def stat_fields(stat: bytes) -> list[bytes]:
    """The fields after the command, which may hold spaces and brackets. Raises Gone for a zombie."""
    fields = stat[stat.rindex(b")") + 2 :].split(b" ", 18)
    if fields[0] in (b"Z", b"X", b"x"):
        raise Gone
    return fields


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


class ProcHandle:
    """stat and statm stay open: a later process with the same number never answers on them."""

    def __init__(self, reader: ProcReader, pid: int) -> None:
        self._reader = reader
        self._folder = f"{reader.root}/{pid}"
        self._stat = self._statm = -1
        try:
            self._stat = os.open(f"{self._folder}/stat", os.O_RDONLY | os.O_CLOEXEC)
            self._statm = os.open(f"{self._folder}/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self.close()
            raise _gone_or_unreadable(error) from error

    def basic(self) -> Basic:
        reader = self._reader
        try:
            fields = stat_fields(os.pread(self._stat, 1024, 0))
            rss_pages = int(os.pread(self._statm, 128, 0).split(b" ", 2)[1])
        except OSError as error:
            raise _gone_or_unreadable(error) from error
        ticks = int(fields[11]) + int(fields[12])
        return Basic(rss_pages * reader.page_kib, ticks * reader.tick_seconds, int(fields[17]))

    def full(self) -> Full:
        refused: dict[str, str] = {}
        pss = uss = files = voluntary = involuntary = None
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
            voluntary, involuntary = self._switches()
        except Unreadable as error:
            refused["switches"] = str(error)
        return Full(pss, uss, files, voluntary, involuntary, refused)

    def _open_files(self) -> int:
        try:
            # Linux 6.2 and up tell the count as the folder's size; before, the size is 0.
            return os.stat(f"{self._folder}/fd").st_size or len(os.listdir(f"{self._folder}/fd"))  # noqa: PTH116, PTH208
        except OSError as error:
            raise _gone_or_unreadable(error) from error

    def _switches(self) -> tuple[int, int]:
        try:
            threads = os.listdir(f"{self._folder}/task")  # noqa: PTH208
        except OSError as error:
            raise _gone_or_unreadable(error) from error
        if len(threads) > MAX_THREADS:
            raise Unreadable(f"more than {MAX_THREADS} threads")
        voluntary = involuntary = 0
        for thread in threads:
            with contextlib.suppress(Gone):  # a thread that has just ended
                counts = switch_counts(read_file(f"{self._folder}/task/{thread}/status"))
                voluntary += counts[0]
                involuntary += counts[1]
        return voluntary, involuntary

    def close(self) -> None:
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
        self._loadavg = self._open_loadavg()
        if self._loadavg >= 0 and not self._tells_newest():
            self.close()

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

    def _tells_newest(self) -> bool:
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

    def close(self) -> None:
        if self._loadavg >= 0:
            os.close(self._loadavg)
            self._loadavg = -1


# ---------------------------------------------------------------- elsewhere: psutil


@contextlib.contextmanager
def _psutil_errors() -> Iterator[None]:
    try:
        yield
    except (psutil.NoSuchProcess, psutil.ZombieProcess, ProcessLookupError) as error:
        raise Gone from error
    except (psutil.AccessDenied, PermissionError) as error:
        raise Unreadable("access denied") from error


class PsutilHandle:
    """``is_running`` compares start times: a later process with the same number is told apart."""

    def __init__(self, reader: PsutilReader, pid: int) -> None:
        self._reader = reader
        with _psutil_errors():
            self._process = psutil.Process(pid)

    def basic(self) -> Basic:
        process = self._process
        with _psutil_errors(), process.oneshot():
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise Gone
            cpu = process.cpu_times()
            return Basic(process.memory_info().rss // 1024, cpu.user + cpu.system, process.num_threads())

    def full(self) -> Full:
        refused: dict[str, str] = {}
        if not self._process.is_running():
            raise Gone
        pss, uss = self._part("pss, uss", self._memory, refused) or (None, None)
        files = self._part("open_files", self._process.num_fds, refused)
        switches = self._part("switches", self._process.num_ctx_switches, refused)
        voluntary, involuntary = (switches.voluntary, switches.involuntary) if switches else (None, None)
        return Full(pss, uss, files, voluntary, involuntary, refused)

    def _memory(self) -> tuple[int | None, int | None]:
        if "uss" in self._reader.absent:
            return None, None
        memory = self._process.memory_full_info()
        pss = None if "pss" in self._reader.absent else memory.pss // 1024
        return pss, memory.uss // 1024

    def _part(self, name: str, read: Callable[[], Any], refused: dict[str, str]) -> Any:
        try:
            with _psutil_errors():
                return read()
        except Unreadable as error:
            refused[name] = str(error)
            return None

    def close(self) -> None:
        """Nothing is held open."""


class PsutilReader:
    """macOS, and whatever else psutil knows."""

    name = "psutil"

    def __init__(self) -> None:
        self.absent: dict[str, str] = {}
        memory = psutil.Process().memory_full_info()
        for part in ("pss", "uss"):
            if not hasattr(memory, part):
                self.absent[part] = f"{platform.system()} has no {part.upper()}"

    def newest(self) -> bytes | None:
        return None

    def pids(self) -> Iterable[int]:
        return psutil.pids()

    def kin(self, pid: int) -> Kin:
        with _psutil_errors():
            return Kin(psutil.Process(pid).ppid(), os.getsid(pid))

    def hold(self, pid: int) -> Handle:
        return PsutilHandle(self, pid)

    def close(self) -> None:
        """Nothing is held open."""


def reader_here() -> ProcReader | PsutilReader:
    return ProcReader() if sys.platform.startswith("linux") else PsutilReader()


# ---------------------------------------------------------------- trees


class Forest:
    """The trees of all targets. A process belongs to its nearest ancestor that is a target."""

    def __init__(self, reader: Reader, targets: dict[str, int]) -> None:
        """Raises Refused where a target is gone or can't be seen."""
        self._reader = reader
        self._newest: bytes | None = None
        self._strangers: set[int] = set()
        self._target_of: dict[int, str] = {}
        self._session_of: dict[int, str] = {}
        self.members: dict[str, dict[int, Handle | None]] = {name: {} for name in targets}
        self.notes: list[tuple[int, str, str]] = []
        self._not_before = self._look_anyway_at = 0.0
        try:
            for name, pid in targets.items():
                self._plant(name, pid)
        except Refused:
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
            remedy = "see the log of what should run there"
            raise Refused("no_process", f"target {name}: process {pid} {state}", remedy) from error
        if kin.session == pid:
            self._session_of[pid] = name

    def _add(self, pid: int, name: str) -> None:
        try:
            handle: Handle | None = self._reader.hold(pid)
        except Unreadable as error:
            handle = None
            self.notes.append((pid, "process", str(error)))
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

    def basic(self, name: str, pid: int) -> Basic:
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


# ---------------------------------------------------------------- when to sample


class Schedule:
    """Slots at absolute times, ``start + n * interval``. A missed one is counted, never made up for."""

    def __init__(self, start: float, interval_seconds: float) -> None:
        self.start = start
        self.interval_seconds = interval_seconds
        self.slot = 0
        self.missed = 0
        self.taken = 0
        self.late_max = 0.0
        self.late_sum = 0.0

    @property
    def deadline(self) -> float:
        return self.start + self.slot * self.interval_seconds

    def take(self, now: float) -> float:
        """The slot due at ``now``; returns its lateness in seconds and moves on to the next."""
        due = max(self.slot, int((now - self.start) / self.interval_seconds + 1e-9))
        self.missed += due - self.slot
        late = max(0.0, now - (self.start + due * self.interval_seconds))
        self.slot = due + 1
        self.taken += 1
        self.late_max = max(self.late_max, late)
        self.late_sum += late
        return late


# ---------------------------------------------------------------- one run


class RunFile:
    """The lines of one run: written as they come, counted and hashed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def write(self, line: bytes) -> None:
        """``line`` ends with a newline. Raises OSError where the disk refuses."""
        view = memoryview(line)
        while view:
            view = view[os.write(self._file, view) :]
        self._hash.update(line)
        self.lines += 1
        self.size_bytes += len(line)

    def write_record(self, record: Message) -> None:
        self.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")

    def sync(self) -> None:
        """Raises OSError where the disk refuses."""
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class Totals(NamedTuple):
    """A tree at one moment."""

    m: float
    rss_kib: int
    cpu_seconds: float
    processes: int


class Request(NamedTuple):
    """What ``begin`` asks for, checked."""

    run: str
    targets: dict[str, int]
    interval_seconds: float
    full_interval_seconds: float
    max_seconds: float


def rows_text(rows: dict[str, list[str]]) -> str:
    """{"server": ["[1,2]", ...]} as JSON; much quicker than json.dumps at ten times a second."""
    return "{" + ",".join(f"{json.dumps(name)}:[{','.join(row)}]" for name, row in rows.items()) + "}"


def core_times_text() -> str:
    """[[CPU seconds of all programs, seconds stolen by the hypervisor or null], ...] of each core.

    Interrupts are left out: what the network costs the kernel is nobody's in particular.
    """
    rows = [
        [round(core.user + core.nice + core.system, 3), getattr(core, "steal", None)]
        for core in psutil.cpu_times(percpu=True)
    ]
    return json.dumps(rows, separators=(",", ":"))


def network_text() -> str:
    """[bytes sent, bytes received] by all of the host's interfaces but loopback, since its boot."""
    cards = psutil.net_io_counters(pernic=True)
    kept = [card for name, card in cards.items() if not name.startswith("lo")]
    return f"[{sum(card.bytes_sent for card in kept)},{sum(card.bytes_recv for card in kept)}]"


class Run:
    """One run being sampled."""

    def __init__(self, request: Request, reader: Reader, directory: Path) -> None:
        """Raises Refused; OSError where the disk refuses."""
        self.name = request.run
        self._reader = reader
        self._forest = Forest(reader, request.targets)
        self._told_of: set[tuple[int, str]] = set()
        self._present = set(request.targets)
        self._totals: dict[str, Totals] = {}
        self._before: dict[str, Totals] = {}  # a second before the latest
        self._latest: dict[str, Totals] = {}
        try:
            self.file = RunFile(directory / f"{request.run}.jsonl")
        except OSError:
            self._forest.close()
            raise
        now = time.monotonic()
        self.schedule = Schedule(now, request.interval_seconds)
        self._full_interval_seconds = request.full_interval_seconds
        self._full_at = dict.fromkeys(request.targets, now)
        self._second_at = now
        self._late_in_second = 0.0
        self._stop_at = now + request.max_seconds
        try:
            self.file.write_record(self._head(request, now))
            self.sample()
        except OSError:
            self.abandon()
            raise

    def _head(self, request: Request, now: float) -> Message:
        return {
            "k": "head",
            "version": AGENT_VERSION,
            "run": request.run,
            "host": socket.gethostname(),
            "system": platform.system(),
            "release": platform.release(),
            "t": round(time.time(), 4),
            "m": round(now, 4),
            "clock": time.get_clock_info("monotonic").implementation,
            "psutil": psutil.__version__,
            "python": platform.python_version(),
            "reader": self._reader.name,
            "agent_pid": os.getpid(),
            "page_bytes": os.sysconf("SC_PAGE_SIZE"),
            "interval_seconds": request.interval_seconds,
            "full_interval_seconds": request.full_interval_seconds,
            "targets": request.targets,
            "absent": self._reader.absent,
        }

    def sample(self, *, last: bool = False) -> str | None:
        """One sample; returns why the run must stop, or None. ``last``: off the schedule, with everything."""
        now = time.monotonic()
        if not last:
            self._late_in_second = max(self._late_in_second, self.schedule.take(now))
        self._forest.discover(now)
        basic = {name: self._basic_rows(name, now) for name in self._present}
        line = f'{{"k":"s","m":{now:.4f},"p":{rows_text(basic)}'
        if last or now >= self._second_at - 0.5 * self.schedule.interval_seconds:
            line += self._second_part(now, last)
        self.file.write(line.encode() + b"}\n")
        self._write_notes()
        self._write_gone()
        if not self._present:
            return "targets_gone"
        return "max_seconds" if now >= self._stop_at else None

    def _basic_rows(self, name: str, now: float) -> list[str]:
        rows: list[str] = []
        rss_kib, cpu_seconds = 0, 0.0
        for pid in list(self._forest.members[name]):
            try:
                rss, cpu, threads = self._forest.basic(name, pid)
            except Gone:
                self._forest.drop(name, pid)
                continue
            except Unreadable as error:
                self._forest.notes.append((pid, "process", str(error)))
                rows.append(f"[{pid},null,null,null]")
                continue
            rss_kib += rss
            cpu_seconds += cpu
            rows.append(f"[{pid},{rss},{cpu:.2f},{threads}]")
        self._totals[name] = Totals(now, rss_kib, cpu_seconds, len(rows))
        return rows

    def _second_part(self, now: float, last: bool) -> str:
        full = {
            name: self._full_rows(name, now) for name in self._present if last or self._is_full_due(name, now)
        }
        late, self._late_in_second = self._late_in_second, 0.0
        self._second_at = now + self._full_interval_seconds
        self._before, self._latest = self._latest, dict(self._totals)
        return (
            f',"t":{time.time():.4f},"c":{time.process_time():.4f},"late":{late:.4f}'
            f',"missed":{self.schedule.missed},"u":{core_times_text()},"n":{network_text()},"f":{rows_text(full)}'
        )

    def _is_full_due(self, name: str, now: float) -> bool:
        return now >= self._full_at[name] - 0.5 * self.schedule.interval_seconds

    def _full_rows(self, name: str, now: float) -> list[str]:
        rows: list[str] = []
        began = time.thread_time()
        for pid, handle in list(self._forest.members[name].items()):
            if handle is None:
                rows.append(f"[{pid},null,null,null,null,null]")
                continue
            try:
                *parts, refused = handle.full()
            except Gone:
                continue  # the next sample drops it
            self._forest.notes.extend((pid, what, why) for what, why in refused.items())
            rows.append(json.dumps([pid, *parts], separators=(",", ":")))
        pause = (time.thread_time() - began) * len(self._full_at) / FULL_SHARE
        self._full_at[name] = now + max(self._full_interval_seconds, pause)
        return rows

    def _write_notes(self) -> None:
        for pid, what, why in self._forest.notes:
            if (pid, what) not in self._told_of:
                self._told_of.add((pid, what))
                self.file.write_record({"k": "note", "pid": pid, "what": what, "why": why})
        self._forest.notes.clear()

    def _write_gone(self) -> None:
        for name in [name for name in self._present if not self._forest.members[name]]:
            self._present.discard(name)
            self.file.write_record({"k": "gone", "target": name, **self._times()})

    @staticmethod
    def _times() -> Message:
        return {"t": round(time.time(), 4), "m": round(time.monotonic(), 4)}

    def mark(self, name: str) -> float:
        """Write a marker; returns its wall time."""
        times = self._times()
        self.file.write_record({"k": "mark", "name": name, **times})
        return float(times["t"])

    def processes(self) -> dict[str, int]:
        return {name: len(members) for name, members in self._forest.members.items()}

    def peek(self) -> Message:
        """The latest sums of each target that is still there."""
        told: Message = {}
        for name in self._present:
            total = self._totals[name]
            before = self._before.get(name, total)
            elapsed = total.m - before.m
            told[name] = {
                "rss_bytes": total.rss_kib * 1024,
                "cpu_seconds": round(total.cpu_seconds, 2),
                "processes": total.processes,
                "core_share": round(max(0.0, total.cpu_seconds - before.cpu_seconds) / elapsed, 3)
                if elapsed
                else None,
            }
        return told

    def finish(self, reason: str) -> Message:
        """The last lines, on disk; what ``end`` tells. Raises OSError where the disk refuses."""
        try:
            if self._present:
                self.sample(last=True)
            schedule = self.schedule
            closing = {
                "reason": reason,
                "samples": schedule.taken,
                "missed": schedule.missed,
                "late_max": round(schedule.late_max, 4),
                "late_mean": round(schedule.late_sum / schedule.taken, 5),
            }
            times = {"c": round(time.process_time(), 4), **self._times()}
            self.file.write_record({"k": "end", "lines": self.file.lines, **closing, **times})
            self.file.sync()
        finally:
            self.abandon()
        written = {"lines": self.file.lines, "bytes": self.file.size_bytes, "sha256": self.file.sha256}
        return {"run": self.name, "path": str(self.file.path), **written, **closing}

    def abandon(self) -> None:
        """Let go of everything; the file stays as it is."""
        self._forest.close()
        # What was to be kept is synced by now; else an error is under way already, and that one tells.
        with contextlib.suppress(OSError):
            self.file.close()


# ---------------------------------------------------------------- requests


def _number(message: Message, key: str, default: float, low: float, high: float) -> float:
    value = message.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Refused("request", f"{key} is {value!r}", f"give a number from {low} to {high}")
    return float(value)


def _name(value: object, what: str) -> str:
    allowed = isinstance(value, str) and 0 < len(value) <= 200 and not value.startswith(".")
    if not allowed or not all(sign.isalnum() or sign in "._+-" for sign in str(value)):
        raise Refused("request", f"{what} is {value!r}", "use letters, digits and . _ + -")
    return str(value)


def parse_begin(message: Message) -> Request:
    """Raises Refused."""
    targets = message.get("targets")
    if not isinstance(targets, dict) or not targets:
        raise Refused("request", f"targets is {targets!r}", "give one name and process number at least")
    for name, pid in targets.items():
        _name(name, "a target's name")
        if not isinstance(pid, int) or isinstance(pid, bool) or pid < 1:
            raise Refused("request", f"target {name} is {pid!r}", "give a process number")
    interval = _number(message, "interval_seconds", 0.1, 0.01, 60.0)
    return Request(
        run=_name(message.get("run"), "run"),
        targets=targets,
        interval_seconds=interval,
        full_interval_seconds=_number(message, "full_interval_seconds", max(1.0, interval), interval, 3600.0),
        max_seconds=_number(message, "max_seconds", 3600.0, 0.01, MAX_SECONDS),
    )


def storage_remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room on the host"
    return "see the agent's log on the host"


class Agent:
    """Runs one after another; every answer to a request."""

    def __init__(self, reader: Reader, directory: Path) -> None:
        self._reader = reader
        self._directory = directory
        self._run: Run | None = None
        self._last: Message | None = None  # what end told, or tells next
        self._untold = False
        self.quitting = False

    @property
    def deadline(self) -> float | None:
        """Monotonic time of the next sample, None between runs."""
        return None if self._run is None else self._run.schedule.deadline

    def sample(self) -> None:
        if self._run is None:
            return
        try:
            reason = self._run.sample()
        except OSError as error:
            self._fail(self._run, error)
            return
        if reason is not None:
            self._finish(self._run, reason)

    def _finish(self, run: Run, reason: str) -> None:
        try:
            told = {"ok": True, **run.finish(reason)}
        except OSError as error:
            told = self._storage_failure(run, error)
        self._run, self._last, self._untold = None, told, True

    def _fail(self, run: Run, error: OSError) -> None:
        self._run, self._last, self._untold = None, self._storage_failure(run, error), True
        run.abandon()

    @staticmethod
    def _storage_failure(run: Run, error: OSError) -> Message:
        print(f"{run.name}: {error}", file=sys.stderr, flush=True)
        text = f"{error.filename or run.file.path}: {error.strerror or error}"
        return {
            "ok": False,
            "kind": "storage",
            "run": run.name,
            "error": text,
            "remedy": storage_remedy(error),
        }

    def answer(self, line: bytes) -> Message:
        """The answer to one request; never raises."""
        try:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise Refused("request", "a request is a JSON object")
            verb = self._verbs().get(str(message.get("do")))
            if verb is None:
                raise Refused(
                    "request", f"unknown request {message.get('do')!r}", f"one of {', '.join(self._verbs())}"
                )
            return verb(message)
        except Refused as refusal:
            return {"ok": False, "kind": refusal.kind, "error": str(refusal), "remedy": refusal.remedy}
        except ValueError as error:
            return {"ok": False, "kind": "request", "error": f"not JSON: {error}", "remedy": ""}

    def _verbs(self) -> dict[str, Callable[[Message], Message]]:
        return {
            "begin": self._begin,
            "mark": self._mark,
            "peek": self._peek,
            "end": self._end,
            "status": self._status,
            "quit": self._quit,
        }

    def _running(self) -> Run:
        if self._run is None:
            stopped = (
                "" if self._last is None else f"; {self._last['run']} stopped: {self._last.get('reason')}"
            )
            raise Refused("idle", f"no run is being sampled{stopped}", "begin one")
        return self._run

    def _begin(self, message: Message) -> Message:
        if self._run is not None:
            raise Refused("busy", f"{self._run.name} is being sampled", "end it first")
        request = parse_begin(message)
        try:
            self._run = Run(request, self._reader, self._directory)
        except OSError as error:
            text = f"{error.filename or self._directory}: {error.strerror or error}"
            raise Refused("storage", text, storage_remedy(error)) from error
        self._last, self._untold = None, False
        return {"ok": True, "path": str(self._run.file.path), "processes": self._run.processes()}

    def _mark(self, message: Message) -> Message:
        run = self._running()
        name = _name(message.get("name"), "a mark's name")
        try:
            return {"ok": True, "t": run.mark(name)}
        except OSError as error:
            self._fail(run, error)
            assert self._last is not None
            return self._last

    def _peek(self, message: Message) -> Message:
        told = self._running().peek()
        return {
            "ok": True,
            "t": time.time(),
            "targets": told,
            "agent_cpu_seconds": round(time.process_time(), 4),
        }

    def _end(self, message: Message) -> Message:
        if self._run is not None:
            self._finish(self._run, "asked")
        if self._last is None or not self._untold:
            raise Refused("idle", "no run to end", "begin one; status tells of the last")
        self._untold = False
        return self._last

    def _status(self, message: Message) -> Message:
        running = None if self._run is None else self._run.name
        return {
            "ok": True,
            "pid": os.getpid(),
            "version": AGENT_VERSION,
            "running": running,
            "last": self._last,
        }

    def _quit(self, message: Message) -> Message:
        self.stop("quit")
        return {"ok": True}

    def stop(self, reason: str) -> None:
        self.quitting = True
        if self._run is not None:
            self._finish(self._run, reason)


# ---------------------------------------------------------------- the socket


class Client:
    """One connection and what of its next request has come."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""


def listen(path: Path) -> socket.socket | None:
    """The control socket, for its owner only; None if another agent answers on it."""
    # A relative name: a unix socket's path has room for about 100 bytes.
    os.chdir(path.parent)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.connect(path.name)
    except (FileNotFoundError, ConnectionRefusedError):
        Path(path.name).unlink(missing_ok=True)
    else:
        listener.close()
        return None
    listener.close()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o077)
    try:
        listener.bind(path.name)
    finally:
        os.umask(before)
    listener.listen(8)
    listener.setblocking(False)
    return listener


def _receive(agent: Agent, client: Client) -> bool:
    """Answer what has come; False: this client has gone."""
    try:
        chunk = client.connection.recv(LINE_LIMIT_BYTES)
    except BlockingIOError:
        return True
    except OSError:
        return False
    *lines, client.received = (client.received + chunk).split(b"\n")
    try:
        for line in lines:
            client.connection.sendall(json.dumps(agent.answer(line)).encode() + b"\n")
    except OSError:
        # It went away, or doesn't read: what it asked for is done, and status tells the next one.
        return False
    return bool(chunk) and len(client.received) < LINE_LIMIT_BYTES


def serve(agent: Agent, listener: socket.socket, wake: socket.socket) -> None:
    """Sample and answer until told to quit; a byte on ``wake`` (from a signal) quits."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while not agent.quitting:
            deadline = agent.deadline
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            for key, _ in selector.select(timeout):
                if key.fileobj is listener:
                    with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                        connection, _address = listener.accept()
                        connection.setblocking(False)
                        selector.register(connection, selectors.EVENT_READ, Client(connection))
                elif key.fileobj is wake:
                    agent.stop("signal")
                elif not _receive(agent, key.data):
                    selector.unregister(key.fileobj)
                    key.data.connection.close()
            deadline = agent.deadline
            if deadline is not None and time.monotonic() >= deadline:
                agent.sample()
        for key in list(selector.get_map().values()):
            if isinstance(key.data, Client):
                key.data.connection.close()


def allow_many_files() -> None:
    """Two open files a process are held; raise the soft limit to what may be had without asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run_agent(control: Path, directory: Path) -> int:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    control, directory = control.absolute(), directory.absolute()
    allow_many_files()
    listener = listen(control)
    if listener is None:
        print(f"another agent answers on {control}", file=sys.stderr)
        return ALREADY_STATUS
    wake, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    print("ready", flush=True)
    reader = reader_here()
    try:
        serve(Agent(reader, directory), listener, wake)
    finally:
        Path(control.name).unlink(missing_ok=True)
        reader.close()
        for end in (listener, wake, waker):
            end.close()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--control", type=Path, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args()
    try:
        return run_agent(options.control, options.directory)
    except OSError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return FAILED_STATUS


if __name__ == "__main__":
    sys.exit(main())
