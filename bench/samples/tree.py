"""A target's process tree over time, and its CPU. Times are on the clock of Samples.time_of."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from bench.errors import ResultError
from bench.samples.read import Samples
from bench.wire.samples import FullRow, ProcessRow

KIB = 1024

Interval = tuple[float, float]
"""Start and end, both included."""


class Point(msgspec.Struct, frozen=True):
    """A tree at one moment. Bytes are the sum over its processes."""

    t: float
    rss_bytes: int | None  # None: some processes could not be read, so that the sum would lack them
    processes: int
    cpu_seconds: float  # used since the first sample, by ended processes too; it never falls
    unreadable: int = 0  # processes that could not be read


class EndedChildren:
    """CPU of children that came and went between two samples: their parents have it once they are waited for.

    A parent is told all that a child used, which was counted already as far as the child was seen: that much
    of the parent's growth is left out. What an unseen child used is counted in the reading that first tells.
    """

    def __init__(self) -> None:
        self._seen: dict[int, float] = {}  # the parents, with what they were last told
        self._counted: float = 0.0  # of children that have ended, and whose parent was told of none yet
        self._alive: dict[int, float] = {}  # with the CPU that each was last seen with
        self._first: frozenset[int] | None = None  # those of the first sample, where counting starts

    def unseen(self, processes: Sequence[ProcessRow], full: Sequence[FullRow]) -> float:
        """CPU seconds of ended children that no sample has shown, as far as this one tells of them."""
        alive = {row.pid: row.cpu_seconds or 0.0 for row in processes}
        for pid in self._alive.keys() - alive.keys():
            self._counted += self._alive[pid] + self._seen.pop(pid, 0.0)
        self._alive = alive
        if self._first is None:
            self._first = frozenset(alive)
        told = 0.0
        for row in full:
            if row.children_seconds is None:
                continue
            before = self._seen.get(row.pid, row.children_seconds if row.pid in self._first else 0.0)
            told += max(0.0, row.children_seconds - before)
            self._seen[row.pid] = row.children_seconds
        unseen = max(0.0, told - self._counted)
        self._counted = max(0.0, self._counted - told)
        return unseen


class Tree(msgspec.Struct, frozen=True):
    """All samples of one target's process tree."""

    points: tuple[Point, ...]  # one a sample
    processes: tuple[tuple[ProcessRow, ...], ...]  # of each point
    fulls: tuple[tuple[float, tuple[FullRow, ...]], ...]  # the rarer readings, each with its time
    interval_seconds: float  # from one sample to the next


class Cpu(msgspec.Struct, frozen=True):
    """CPU of a tree in an interval."""

    cpu_seconds: float
    elapsed_seconds: float  # what of the interval was sampled
    core_share: float  # 1.0: one core in full


def tree_of(samples: Samples, target: str) -> Tree:
    """The tree of ``target`` in every sample that has it.

    A process that ends keeps the CPU seconds it was last seen with, and what it used after that comes with
    its parent's next full reading; one that appears brings all of its own, except in the first sample, which
    is where counting starts. Raises ResultError for an unknown target.
    """
    _check_target(samples, target)
    points: list[Point] = []
    rows: list[tuple[ProcessRow, ...]] = []
    fulls: list[tuple[float, tuple[FullRow, ...]]] = []
    last_seen: dict[int, float] = {}
    ended = EndedChildren()
    total_seconds = 0.0
    for sample in samples.samples:
        t = samples.time_of(sample.monotonic_seconds)
        if target in sample.full:
            fulls.append((t, sample.full[target]))
        processes = sample.processes.get(target)
        if processes is None:
            continue
        used = cpu_since(last_seen, processes) + ended.unseen(processes, sample.full.get(target, ()))
        total_seconds += used if points else 0.0
        points.append(_point(t, processes, total_seconds))
        rows.append(processes)
    return Tree(tuple(points), tuple(rows), tuple(fulls), samples.header.interval_seconds)


def _check_target(samples: Samples, target: str) -> None:
    if target not in samples.header.targets:
        known = ", ".join(samples.header.targets)
        raise ResultError(
            f"The samples of {samples.header.run} have no target {target!r}", remedy=f"They have {known}"
        )


def cpu_since(last_seen: dict[int, float], processes: Sequence[ProcessRow]) -> float:
    """CPU seconds used since ``last_seen`` ({pid: CPU seconds}), which is brought up to date."""
    used = 0.0
    for process in processes:
        if process.cpu_seconds is None:
            continue
        before = last_seen.get(process.pid, 0.0)
        # Less than before: another process has taken an ended one's number.
        used += process.cpu_seconds - (before if process.cpu_seconds >= before else 0.0)
        last_seen[process.pid] = process.cpu_seconds
    return used


def _point(t: float, processes: Sequence[ProcessRow], cpu_seconds: float) -> Point:
    readable = [process.rss_kib for process in processes if process.rss_kib is not None]
    unreadable = len(processes) - len(readable)
    return Point(
        t=t,
        rss_bytes=None if unreadable else sum(readable) * KIB,
        processes=len(processes),
        cpu_seconds=cpu_seconds,
        unreadable=unreadable,
    )


def cpu_of(tree: Tree, interval: Interval) -> Cpu | None:
    """CPU of the tree in what of the interval was sampled, interpolated at its ends.

    None if that is less than one sampling interval.
    """
    points = tree.points
    if not points:
        return None
    since, until = max(interval[0], points[0].t), min(interval[1], points[-1].t)
    elapsed = until - since
    if elapsed < tree.interval_seconds:
        return None
    used = _cpu_at(points, until) - _cpu_at(points, since)
    return Cpu(used, elapsed, used / elapsed)


def _cpu_at(points: Sequence[Point], t: float) -> float:
    """``t`` lies between the first and the last point."""
    later = bisect_left(points, t, key=lambda point: point.t)
    if later == 0 or points[later].t == t:
        return points[later].cpu_seconds
    before, after = points[later - 1], points[later]
    part = (t - before.t) / (after.t - before.t)
    return before.cpu_seconds + part * (after.cpu_seconds - before.cpu_seconds)
