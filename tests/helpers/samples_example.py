"""Lines of a samples file, as the agent writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

WALL, MONOTONIC = 1_795_500_000.0, 500.0
MIB_KIB = 1024

Row = Sequence[int | float | None]


def head(**changes: Any) -> bytes:
    record = {
        "k": "head",
        "version": 1,
        "run": "one",
        "host": "h",
        "system": "Linux",
        "t": WALL,
        "m": MONOTONIC,
        "interval_seconds": 0.1,
        "full_interval_seconds": 1.0,
        "targets": {"server": 1, "database": 9},
        "absent": {},
        "reader": "proc",
        "agent_pid": 99,
        "page_bytes": 4096,
        "psutil": "7",
    }
    return line(**(record | changes))


def line(**record: Any) -> bytes:
    return json.dumps(record).encode() + b"\n"


def sample(seconds: float, *rows: Row, target: str = "server", **rest: Any) -> bytes:
    """A sample ``seconds`` after the run began; a row is [pid, rss_kib, cpu_seconds] (one thread)."""
    return line(k="s", m=MONOTONIC + seconds, p={target: [[*row, 1] for row in rows]}, **rest)


def full(seconds: float, *rows: Row, **rest: Any) -> bytes:
    """A sample with full readings [pid, pss_kib, uss_kib]."""
    complete = [[*row, 5, 6, 7] for row in rows]
    plain: list[Row] = [[row[0], 1, 0.0] for row in rows]
    return sample(
        seconds, *plain, t=WALL + seconds, c=1.0, late=0.0, missed=0, f={"server": complete}, **rest
    )


def end(lines: int, seconds: float = 10.0, missed: int = 2) -> bytes:
    times = {"t": WALL + seconds, "m": MONOTONIC + seconds}
    return line(
        k="end",
        reason="asked",
        lines=lines,
        samples=3,
        missed=missed,
        late_max=0.5,
        late_mean=0.1,
        c=1.5,
        **times,
    )
