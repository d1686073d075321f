"""One run being sampled."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.wire.agent import Begin, Ended, EndReason, TreeNow
from bench.wire.samples import (
    SAMPLES_VERSION,
    Footer,
    FullRow,
    Header,
    Note,
    ProcessRow,
    QuotaRow,
    Sample,
    TargetGone,
    ThreadRow,
    encode_bare_sample,
    encode_record,
    encode_sample,
)
from remote.onhost.agent.file import RunFile
from remote.onhost.agent.forest import Forest
from remote.onhost.agent.host import are_interrupts_apart, core_rows, network_counts
from remote.onhost.agent.readers import Handle, Reader
from remote.onhost.agent.schedule import Schedule
from remote.onhost.processes import Gone, Unreadable

# What the full readings of all targets may take of one core. A target's become rarer when they take more
# than its part: smaps_rollup walks every page.
FULL_SHARE = 0.005


class TreeTotals(NamedTuple):
    """The sums over a tree at one moment."""

    monotonic_seconds: float
    rss_kib: int
    cpu_seconds: float
    processes: int


class SampledRun:
    """One run being sampled."""

    def __init__(self, request: Begin, reader: Reader, directory: Path) -> None:
        """Raises RequestRefused; OSError where the disk refuses."""
        self.name = request.run
        self._reader = reader
        self._forest = Forest(reader, request.targets, request.also)
        self._noted: set[tuple[int, str]] = set()
        self._present = set(request.targets)
        self._groups: dict[str, set[bytes]] = {}  # of each target's processes, as last read
        self._totals: dict[str, TreeTotals] = {}
        self._before: dict[str, TreeTotals] = {}  # a second before the latest
        self._latest: dict[str, TreeTotals] = {}
        try:
            self.file = RunFile(directory / f"{request.run}.jsonl")
        except OSError:
            self._forest.close()
            raise
        now = time.monotonic()
        self.schedule = Schedule(now, request.interval_seconds)
        self._full_interval_seconds = max(request.full_interval_seconds, request.interval_seconds)
        self._full_at = dict.fromkeys(request.targets, now)
        self._second_at = now
        self._late_in_second = 0.0
        self._stop_at = now + request.max_seconds
        try:
            self.file.write(encode_record(self._header(request, now)))
            self.sample()
        except OSError:
            self.abandon()
            raise

    def _header(self, request: Begin, now: float) -> Header:
        return Header(
            version=SAMPLES_VERSION,
            run=request.run,
            host=socket.gethostname(),
            system=platform.system(),
            release=platform.release(),
            wall_seconds=round(time.time(), 4),
            monotonic_seconds=round(now, 4),
            clock=time.get_clock_info("monotonic").implementation,
            psutil=psutil.__version__,
            python=platform.python_version(),
            reader=self._reader.name,
            agent_pid=os.getpid(),
            page_bytes=os.sysconf("SC_PAGE_SIZE"),
            interval_seconds=request.interval_seconds,
            full_interval_seconds=self._full_interval_seconds,
            targets=request.targets,
            absent=self._reader.absent,
            interrupts_apart=are_interrupts_apart(),
        )

    def sample(self, *, last: bool = False) -> EndReason | None:
        """One sample; returns why the run must stop, or None. ``last``: off the schedule, with everything."""
        now = time.monotonic()
        if not last:
            self._late_in_second = max(self._late_in_second, self.schedule.take(now))
        self._forest.discover(now)
        rows = {name: self._basic_rows(name, now) for name in self._present}
        is_second = last or now >= self._second_at - 0.5 * self.schedule.interval_seconds
        self.file.write(
            encode_sample(self._with_second(now, rows, last)) if is_second else encode_bare_sample(now, rows)
        )
        self._write_notes()
        self._write_gone()
        if not self._present:
            return "targets_gone"
        return "max_seconds" if now >= self._stop_at else None

    def _basic_rows(self, name: str, now: float) -> tuple[ProcessRow, ...]:
        rows: list[ProcessRow] = []
        rss_kib, cpu_seconds = 0, 0.0
        for pid in list(self._forest.members[name]):
            try:
                row = self._forest.basic(name, pid)
            except Gone:
                self._forest.drop(name, pid)
                continue
            except Unreadable as error:
                self._forest.notes.append(Note(pid, "process", str(error)))
                rows.append(ProcessRow(pid, None, None, None))
                continue
            rss_kib += row[1] or 0
            cpu_seconds += row[2] or 0.0
            rows.append(row)
        self._totals[name] = TreeTotals(now, rss_kib, cpu_seconds, len(rows))
        return tuple(rows)

    def _with_second(self, now: float, rows: dict[str, tuple[ProcessRow, ...]], last: bool) -> Sample:
        """The sample with what is read once a full interval."""
        full = {
            name: self._full_rows(name, now) for name in self._present if last or self._is_full_due(name, now)
        }
        quotas = self._quotas()
        network = network_counts()
        late, self._late_in_second = self._late_in_second, 0.0
        self._second_at = now + self._full_interval_seconds
        self._before, self._latest = self._latest, dict(self._totals)
        return Sample(
            monotonic_seconds=now,
            processes=rows,
            # Of the moment ``now``, which reading the trees has left behind.
            wall_seconds=time.time() - (time.monotonic() - now),
            agent_cpu_seconds=time.process_time(),
            late_seconds=late,
            missed=self.schedule.missed,
            cores=core_rows(),
            network_bytes=network.bytes,
            network_packets=network.packets,
            full={name: rows for name, (rows, _) in full.items()},
            threads={name: threads for name, (_, threads) in full.items() if threads},
            quotas={name: rows for name, rows in quotas.items() if rows},
        )

    def _quotas(self) -> dict[str, tuple[QuotaRow, ...]]:
        """By target. Targets mostly are in the same groups, which are read once."""
        read: dict[frozenset[bytes], tuple[QuotaRow, ...]] = {}
        groups = {name: frozenset(self._groups.get(name, ())) for name in self._present}
        for own in groups.values():
            if own not in read:
                read[own] = self._reader.quotas(own)
        return {name: read[own] for name, own in groups.items()}

    def _is_full_due(self, name: str, now: float) -> bool:
        return now >= self._full_at[name] - 0.5 * self.schedule.interval_seconds

    def _full_rows(self, name: str, now: float) -> tuple[tuple[FullRow, ...], tuple[ThreadRow, ...]]:
        rows: list[FullRow] = []
        threads: list[ThreadRow] = []
        groups: set[bytes] = set()
        began = time.thread_time()
        for pid, handle in list(self._forest.members[name].items()):
            if handle is None:
                rows.append(FullRow(pid, None, None, None, None, None))
                continue
            try:
                reading = handle.full()
                groups |= self._group_of(pid, handle)
            except Gone:
                continue  # the next sample drops it
            self._forest.notes.extend(Note(pid, what, why) for what, why in reading.refused.items())
            rows.append(reading.row)
            threads += reading.threads
        pause = (time.thread_time() - began) * len(self._full_at) / FULL_SHARE
        self._full_at[name] = now + max(self._full_interval_seconds, pause)
        self._groups[name] = groups
        return tuple(rows), tuple(threads)

    def _group_of(self, pid: int, handle: Handle) -> set[bytes]:
        """Empty where the system has none."""
        try:
            group = handle.group()
        except Unreadable as error:
            self._forest.notes.append(Note(pid, "group", str(error)))
            return set()
        return set() if group is None else {group}

    def _write_notes(self) -> None:
        for note in self._forest.notes:
            if (note.pid, note.what) not in self._noted:
                self._noted.add((note.pid, note.what))
                self.file.write(encode_record(note))
        self._forest.notes.clear()

    def _write_gone(self) -> None:
        for name in [name for name in self._present if not self._forest.members[name]]:
            self._present.discard(name)
            self.file.write(encode_record(TargetGone(name, *_now())))

    def processes(self) -> dict[str, int]:
        return {name: len(members) for name, members in self._forest.members.items()}

    def trees_now(self) -> dict[str, TreeNow]:
        """The latest sums of each target that hasn't ended."""
        return {name: self._tree_now(name) for name in self._present}

    def _tree_now(self, name: str) -> TreeNow:
        total = self._totals[name]
        before = self._before.get(name, total)
        elapsed = total.monotonic_seconds - before.monotonic_seconds
        used = max(0.0, total.cpu_seconds - before.cpu_seconds)
        return TreeNow(
            rss_bytes=total.rss_kib * 1024,
            cpu_seconds=round(total.cpu_seconds, 2),
            processes=total.processes,
            core_share=round(used / elapsed, 3) if elapsed else None,
        )

    def finish(self, reason: EndReason) -> Ended:
        """Write the last lines; they are on the disk then. Raises OSError where the disk refuses."""
        schedule = self.schedule
        try:
            if self._present:
                self.sample(last=True)
            late_max, late_mean = round(schedule.late_max, 4), round(schedule.late_sum / schedule.taken, 5)
            self.file.write(encode_record(self._footer(reason, late_max, late_mean)))
            self.file.sync()
        finally:
            self.abandon()
        return Ended(
            run=self.name,
            path=str(self.file.path),
            lines=self.file.lines,
            bytes=self.file.size_bytes,
            sha256=self.file.sha256,
            reason=reason,
            samples=schedule.taken,
            missed=schedule.missed,
            late_max=late_max,
            late_mean=late_mean,
        )

    def _footer(self, reason: EndReason, late_max: float, late_mean: float) -> Footer:
        wall_seconds, monotonic_seconds = _now()
        return Footer(
            reason=reason,
            lines=self.file.lines,
            samples=self.schedule.taken,
            missed=self.schedule.missed,
            late_max_seconds=late_max,
            late_mean_seconds=late_mean,
            agent_cpu_seconds=round(time.process_time(), 4),
            wall_seconds=wall_seconds,
            monotonic_seconds=monotonic_seconds,
        )

    def abandon(self) -> None:
        """Let go of everything; the file stays as it is."""
        self._forest.close()
        # What was to be kept is on the disk by now; else an error is under way already, which says more.
        with contextlib.suppress(OSError):
            self.file.close()


def _now() -> tuple[float, float]:
    """Wall clock and monotonic clock, in seconds."""
    return round(time.time(), 4), round(time.monotonic(), 4)
