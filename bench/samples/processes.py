"""The single processes of a tree: which came and went, and what CPU each used."""

from __future__ import annotations

import msgspec

from bench.samples.tree import Interval, Tree, cpu_since


class ProcessChange(msgspec.Struct, frozen=True):
    """The process numbers of a tree at both ends of an interval, and those that came or went in between."""

    at_start: frozenset[int]
    at_end: frozenset[int]
    appeared: frozenset[int]
    vanished: frozenset[int]

    @property
    def changed(self) -> bool:
        return bool(self.appeared or self.vanished)


def processes_of(tree: Tree, interval: Interval) -> ProcessChange:
    """The tree's processes over the interval; all sets are empty if no sample lies in it."""
    start, end = interval
    sets = [
        frozenset(process.pid for process in processes)
        for point, processes in zip(tree.points, tree.processes, strict=True)
        if start <= point.t <= end
    ]
    if not sets:
        empty: frozenset[int] = frozenset()
        return ProcessChange(empty, empty, empty, empty)
    ever, always = frozenset().union(*sets), sets[0].intersection(*sets)
    return ProcessChange(
        at_start=sets[0],
        at_end=sets[-1],
        appeared=ever - sets[0],
        vanished=(ever - sets[-1]) | (sets[0] - always),
    )


def core_shares_by_process(tree: Tree, interval: Interval) -> dict[int, float]:
    """{pid: core share} in what of the interval was sampled; empty if that is less than two samples."""
    start, end = interval
    inside = [
        (point.t, processes)
        for point, processes in zip(tree.points, tree.processes, strict=True)
        if start <= point.t <= end
    ]
    if len(inside) < 2:
        return {}
    used: dict[int, float] = {}
    last_seen: dict[int, float] = {}
    for number, (_, processes) in enumerate(inside):
        for process in processes:
            since = cpu_since(last_seen, (process,))
            used[process.pid] = used.get(process.pid, 0.0) + (since if number else 0.0)
    elapsed = inside[-1][0] - inside[0][0]
    return {pid: seconds / elapsed for pid, seconds in used.items()}
