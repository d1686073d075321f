"""CPU quotas of Linux's control groups: of the first version, whose folder has cpu.cfs_quota_us, and of the
second, with cpu.max. Standard library only, besides bench/wire.

A process is held by its own group and by every group above it: what this host's mounts show of them is read.
A container that sees only its own part of the tree sees no quota that is set above it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bench.wire.samples import QuotaRow

# /proc/self/mountinfo writes blanks and backslashes of a path in octal.
_OCTAL = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """Where the tree of control groups that has the CPU's controller is to be seen."""

    version: int  # 1 or 2
    root: str  # what of the tree is mounted
    point: str  # where


def cpu_mount(mountinfo: str) -> Mount | None:
    """From /proc/self/mountinfo. The first version's tree has the controller wherever it is mounted."""
    found: dict[int, Mount] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        places, kinds = before.split(" "), after.split(" ")
        if len(places) < 5 or len(kinds) < 3:
            continue
        root, point = (_OCTAL.sub(lambda code: chr(int(code[1], 8)), text) for text in places[3:5])
        if kinds[0] == "cgroup2":
            found.setdefault(2, Mount(2, root, point))
        elif kinds[0] == "cgroup" and "cpu" in kinds[2].split(","):
            found.setdefault(1, Mount(1, root, point))
    return found.get(1) or found.get(2)


def group_of(cgroup: str, version: int) -> str | None:
    """A process's group in the tree of that version, from its /proc/PID/cgroup; None: it has none."""
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" if version == 2 else "cpu" in controllers.split(","):
            return path
    return None


def folders_of(group: str, mount: Mount) -> tuple[str, ...]:
    """The folders of a group and of all above it that are mounted, the group's own first."""
    root = mount.root.rstrip("/")
    # A group outside of what is mounted begins with "/..": the mount's top is what of its way can be seen.
    inside = group[len(root) :] if group == root or group.startswith(f"{root}/") else ""
    names = [] if ".." in inside.split("/") else [name for name in inside.split("/") if name]
    return tuple("/".join((mount.point, *names[:count])) for count in range(len(names), -1, -1))


def max_cores(text: bytes) -> float | None:
    """From cpu.max: ``50000 100000`` is half a core, ``max 100000`` no quota."""
    quota, _, period = text.strip().partition(b" ")
    return None if quota in (b"max", b"") else int(quota) / int(period or b"100000")


def cfs_cores(quota: bytes, period: bytes) -> float | None:
    """From cpu.cfs_quota_us and cpu.cfs_period_us: a quota of -1 is none."""
    return int(quota) / int(period) if quota.strip() and int(quota) > 0 else None


def throttling(text: bytes) -> tuple[int, int, float]:
    """Periods, the throttled ones, and the seconds of throttling, from cpu.stat of either version."""
    found = dict(line.split(b" ", 1) for line in text.splitlines() if b" " in line)
    seconds = int(found.get(b"throttled_usec", 0)) / 1e6 or int(found.get(b"throttled_time", 0)) / 1e9
    return int(found.get(b"nr_periods", 0)), int(found.get(b"nr_throttled", 0)), seconds


class ControlGroup:
    """One control group, its files held open."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._second = _opened(f"{folder}/cpu.max")
        self._quota = _opened(f"{folder}/cpu.cfs_quota_us")
        self._period = _opened(f"{folder}/cpu.cfs_period_us")
        self._stat = _opened(f"{folder}/cpu.stat")

    def cores(self) -> float | None:
        """What its processes may use together; None: no quota is set. Raises OSError once it is removed."""
        if self._second is not None:
            return max_cores(os.pread(self._second, 64, 0))
        if self._quota is None or self._period is None:
            return None
        return cfs_cores(os.pread(self._quota, 64, 0), os.pread(self._period, 64, 0))

    def row(self) -> QuotaRow | None:
        """None: no quota is set, or the group has been removed."""
        try:
            cores = self.cores()
            if cores is None or self._stat is None:
                return None
            periods, throttled, seconds = throttling(os.pread(self._stat, 1024, 0))
        except OSError:  # ENODEV: it has been removed
            return None
        return QuotaRow(self.folder, round(cores, 4), periods, throttled, round(seconds, 6))

    def close(self) -> None:
        for file in (self._second, self._quota, self._period, self._stat):
            if file is not None:
                os.close(file)


def _opened(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # the tree's root has no quota, and this version's files may not be there
        return None


class Quotas:
    """The groups of this host's processes, each held open once."""

    def __init__(self, mount: Mount | None) -> None:
        self._mount = mount
        self._groups: dict[str, ControlGroup] = {}
        self._chains: dict[bytes, tuple[ControlGroup, ...]] = {}

    def rows(self, cgroups: Iterable[bytes]) -> tuple[QuotaRow, ...]:
        """Of each group with a quota that holds any of these processes: what their /proc/PID/cgroup have."""
        groups = dict.fromkeys(group for cgroup in cgroups for group in self._chain(cgroup))
        return tuple(row for group in groups if (row := group.row()) is not None)

    def _chain(self, cgroup: bytes) -> tuple[ControlGroup, ...]:
        known = self._chains.get(cgroup)
        if known is None:
            known = self._chains[cgroup] = self._found(cgroup)
        return known

    def _found(self, cgroup: bytes) -> tuple[ControlGroup, ...]:
        if self._mount is None:
            return ()
        path = group_of(os.fsdecode(cgroup), self._mount.version)
        if path is None:
            return ()
        folders = folders_of(path, self._mount)
        for folder in folders:
            if folder not in self._groups:
                self._groups[folder] = ControlGroup(folder)
        return tuple(self._groups[folder] for folder in folders)

    def close(self) -> None:
        for group in self._groups.values():
            group.close()
        self._groups.clear()
        self._chains.clear()


def quotas_here() -> Quotas:
    """Of this host; nothing has a quota where there are no control groups."""
    try:
        return Quotas(cpu_mount(Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")))
    except OSError:
        return Quotas(None)


def tightest_here() -> float | None:
    """How many cores the quotas on this very process leave it; None: there is none."""
    quotas = quotas_here()
    try:
        return min((row.cores for row in quotas.rows({Path("/proc/self/cgroup").read_bytes()})), default=None)
    except OSError:
        return None
    finally:
        quotas.close()
