"""What the load balancer before a server was, and what it took: its CPU and memory are kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from bench.balancers import Balancer
from bench.results.figures import Bytes, TreeCpu


class BalancerUse(msgspec.Struct, frozen=True):
    """The balancer of one run."""

    name: Balancer
    version: str  # as its program says it
    configuration: str  # the text of its file
    # It has a core that the server's processes don't run on; else it shares the cores of theirs.
    is_apart: bool
    cpu: TreeCpu | None  # in the window; None: it was not sampled
    rss_bytes: Bytes
    pss_bytes: Bytes | None  # None: the system has no PSS
    is_pushed: bool = False  # from the controller; else the host's own


class BalancerFigures(msgspec.Struct, frozen=True):
    """The same of a cell: medians over its runs. None: no run has the figure."""

    version: str
    is_apart: bool
    core_share: float | None  # 1.0 is its core in full
    cpu_seconds_per_request: float | None
    rss_bytes: int | None
    pss_bytes: int | None
    is_pushed: bool = False


def balancer_figures(used: Sequence[tuple[BalancerUse, int]]) -> BalancerFigures | None:
    """Of runs, each with how many requests it answered in the window; None without one."""
    if not used:
        return None
    first = used[0][0]
    known = [(one.cpu, requests) for one, requests in used if one.cpu is not None]
    return BalancerFigures(
        version=first.version,
        is_apart=first.is_apart,
        core_share=_median([cpu.core_share for cpu, _ in known]),
        cpu_seconds_per_request=_median([cpu.cpu_seconds / requests for cpu, requests in known if requests]),
        rss_bytes=_whole([one.rss_bytes for one, _ in used]),
        pss_bytes=_whole([one.pss_bytes for one, _ in used if one.pss_bytes is not None]),
        is_pushed=first.is_pushed,
    )


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _whole(amounts: Sequence[Bytes]) -> int | None:
    found = _median([one.median for one in amounts if one.median is not None])
    return None if found is None else round(found)
