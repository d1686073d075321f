"""The threads of a process tree: the busiest, and how long all of them waited for a core."""

from __future__ import annotations

import msgspec

from bench.samples.read import Samples, readings_in
from bench.samples.tree import Interval
from bench.wire.samples import ThreadRow


class ThreadsUsed(msgspec.Struct, frozen=True):
    """Threads of a tree in an interval."""

    busiest: float  # core share of the thread that used most; 1.0 is a core in full
    waiting: float  # cores' worth of time in which threads were ready to run and others had the core


def thread_use(samples: Samples, target: str, interval: Interval) -> ThreadsUsed | None:
    """None where the system doesn't report threads, or too little of the interval was read.

    A thread that ends keeps what it was last seen with; one that appears brings all of its own.
    """
    readings = [
        (sample.monotonic_seconds, sample.threads[target])
        for sample in readings_in(samples, interval)
        if sample.threads.get(target)
    ]
    if len(readings) < 2:
        return None
    last_seen: dict[tuple[int, int], ThreadRow] = {(row.pid, row.thread): row for row in readings[0][1]}
    used: dict[tuple[int, int], float] = {}
    waited = 0.0
    for _, rows in readings[1:]:
        for row in rows:
            key = (row.pid, row.thread)
            before = last_seen.get(key)
            # Less than before: another thread has taken an ended one's number.
            is_same = before is not None and row.cpu_seconds >= before.cpu_seconds
            cpu, wait = (before.cpu_seconds, before.wait_seconds) if before and is_same else (0.0, 0.0)
            used[key] = used.get(key, 0.0) + row.cpu_seconds - cpu
            waited += row.wait_seconds - wait
            last_seen[key] = row
    elapsed = readings[-1][0] - readings[0][0]
    return ThreadsUsed(max(used.values()) / elapsed, waited / elapsed)
