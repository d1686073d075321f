"""Processes where there is no /proc: psutil, on macOS and whatever else it knows."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import psutil

from bench.wire.samples import FullRow, ProcessRow, QuotaRow
from remote.onhost.agent.readers import FullReading, Handle
from remote.onhost.processes import Gone, Kin, Unreadable

Part = TypeVar("Part")


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
        self._pid = pid
        with _psutil_errors():
            self._process = psutil.Process(pid)

    def basic(self) -> ProcessRow:
        process = self._process
        with _psutil_errors(), process.oneshot():
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise Gone
            cpu = process.cpu_times()
            rss_kib = process.memory_info().rss // 1024
            return ProcessRow(self._pid, rss_kib, cpu.user + cpu.system, process.num_threads())

    def full(self) -> FullReading:
        refused: dict[str, str] = {}
        if not self._process.is_running():
            raise Gone
        pss, uss = self._part("pss, uss", self._memory, refused) or (None, None)
        files = self._part("open_files", self._process.num_fds, refused)
        switches = self._part("switches", self._process.num_ctx_switches, refused)
        voluntary, involuntary = (switches.voluntary, switches.involuntary) if switches else (None, None)
        return FullReading(FullRow(self._pid, pss, uss, files, voluntary, involuntary), (), refused)

    def group(self) -> bytes | None:
        return None

    def _memory(self) -> tuple[int | None, int | None]:
        if "uss" in self._reader.absent:
            return None, None
        memory: Any = self._process.memory_full_info()  # its fields differ by system
        pss = None if "pss" in self._reader.absent else memory.pss // 1024
        return pss, memory.uss // 1024

    def _part(self, name: str, read: Callable[[], Part], refused: dict[str, str]) -> Part | None:
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
        self.absent["threads"] = f"on {platform.system()} it isn't read how long threads wait for a core"
        self.absent["quotas"] = f"on {platform.system()} no CPU quotas are read"

    def newest(self) -> bytes | None:
        return None

    def pids(self) -> Iterable[int]:
        return psutil.pids()

    def kin(self, pid: int) -> Kin:
        with _psutil_errors():
            return Kin(psutil.Process(pid).ppid(), os.getsid(pid))

    def hold(self, pid: int) -> Handle:
        return PsutilHandle(self, pid)

    def quotas(self, groups: Iterable[bytes]) -> tuple[QuotaRow, ...]:
        return ()

    def close(self) -> None:
        """Nothing is held open."""
