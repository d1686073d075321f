"""Memory of a process tree in intervals of a run, in bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

import msgspec

from bench.results.figures import Bytes
from bench.results.growth import Growth, growth_of
from bench.samples.tree import KIB, Interval, Tree
from bench.wire.samples import FullRow


class Spread(msgspec.Struct, frozen=True):
    """The tree's bytes in an interval."""

    median: int
    peak: int
    count: int  # the samples behind it


class Memory(msgspec.Struct, frozen=True):
    """Memory of a tree in an interval; None where no sample has the whole of it."""

    rss: Spread | None
    pss: Spread | None
    uss: Spread | None


class Phases(msgspec.Struct, frozen=True):
    """The intervals of a run whose memory is reported; None: the run has no such interval."""

    idle: Interval | None  # the server is ready and has had no load yet
    window: Interval
    after: Interval | None = None  # the load has stopped


class TreeBytes(msgspec.Struct, frozen=True):
    """Memory of a tree over the phases; pss and uss are None where the host can't report them."""

    rss: Bytes
    pss: Bytes | None
    uss: Bytes | None


def memory_of(tree: Tree, interval: Interval) -> Memory:
    """Median and peak of the tree's summed memory in the interval."""
    start, end = interval
    rss = [
        point.rss_bytes
        for point in tree.points
        if start <= point.t <= end and point.processes and point.rss_bytes is not None
    ]
    return Memory(
        rss=_spread(rss),
        pss=_spread(_full_sums(tree, interval, lambda process: process.pss_kib)),
        uss=_spread(_full_sums(tree, interval, lambda process: process.uss_kib)),
    )


def growth_in(tree: Tree, interval: Interval) -> Growth | None:
    """How fast the tree's RSS grows in the interval; None where too little of it was sampled."""
    start, end = interval
    return growth_of(
        [
            (point.t, float(point.rss_bytes))
            for point in tree.points
            if start <= point.t <= end and point.processes and point.rss_bytes is not None
        ]
    )


def memory_over(tree: Tree, phases: Phases) -> TreeBytes:
    """The phases' memory as results keep it: idle and after are medians."""
    window = memory_of(tree, phases.window)
    nothing = Memory(None, None, None)
    idle = nothing if phases.idle is None else memory_of(tree, phases.idle)
    after = nothing if phases.after is None else memory_of(tree, phases.after)
    rss = _bytes(idle.rss, window.rss, after.rss) or Bytes(None, None, None)
    return TreeBytes(rss, _bytes(idle.pss, window.pss, after.pss), _bytes(idle.uss, window.uss, after.uss))


def _bytes(idle: Spread | None, window: Spread | None, after: Spread | None) -> Bytes | None:
    if idle is None and window is None and after is None:
        return None
    return Bytes(
        idle=None if idle is None else idle.median,
        median=None if window is None else window.median,
        peak=None if window is None else window.peak,
        after=None if after is None else after.median,
    )


def _full_sums(tree: Tree, interval: Interval, part: Callable[[FullRow], int | None]) -> list[int]:
    start, end = interval
    sums: list[int] = []
    for t, processes in tree.fulls:
        if not processes or not start <= t <= end:
            continue
        parts = [part(process) for process in processes]
        known = [kib for kib in parts if kib is not None]
        if len(known) == len(parts):
            sums.append(sum(known) * KIB)
    return sums


def _spread(values: Sequence[int]) -> Spread | None:
    return Spread(round(median(values)), max(values), len(values)) if values else None
