"""What all programs of a host did in an interval: CPU of its cores, traffic of its interfaces.

The agent reads both once a second, so up to a second at either end of an interval is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.results.figures import NetworkUse
from bench.samples.read import Samples
from bench.samples.tree import Interval


class HostCpu(msgspec.Struct, frozen=True):
    """What all programs of a host took of some of its cores, in cores."""

    busy: float
    stolen: float | None  # what the hypervisor gave to other machines; None: the system doesn't report it


def host_cpu(samples: Samples, cores: Sequence[int], interval: Interval) -> HostCpu | None:
    """All programs' use of ``cores`` over what of the interval was read; None if that is too little."""
    start, end = interval
    readings = [
        (sample.monotonic_seconds, [sample.cores[core] for core in cores])
        for sample in samples.samples
        if sample.cores
        and max(cores, default=0) < len(sample.cores)
        and start <= samples.time_of(sample.monotonic_seconds) <= end
    ]
    if len(readings) < 2:
        return None
    (first, before), (last, after) = readings[0], readings[-1]
    elapsed = last - first
    busy = sum(new.busy_seconds - old.busy_seconds for old, new in zip(before, after, strict=True))
    stolen = [
        new.stolen_seconds - old.stolen_seconds
        for old, new in zip(before, after, strict=True)
        if old.stolen_seconds is not None and new.stolen_seconds is not None
    ]
    return HostCpu(busy / elapsed, sum(stolen) / elapsed if stolen else None)


def network_use(samples: Samples, interval: Interval) -> NetworkUse | None:
    """What went over the host's interfaces in what of the interval was read; None if that is too little."""
    start, end = interval
    readings = [
        (sample.monotonic_seconds, sample.network_bytes)
        for sample in samples.samples
        if sample.network_bytes and start <= samples.time_of(sample.monotonic_seconds) <= end
    ]
    if len(readings) < 2:
        return None
    (first, before), (last, after) = readings[0], readings[-1]
    elapsed = last - first
    return NetworkUse((after[0] - before[0]) / elapsed, (after[1] - before[1]) / elapsed)
