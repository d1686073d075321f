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
    # Interrupts, which are not in ``busy``; None: the kernel has them in processes' CPU, or it isn't known.
    interrupts: float | None = None


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
    stolen = _growth([row.stolen_seconds for row in before], [row.stolen_seconds for row in after])
    interrupts = _growth([row.interrupt_seconds for row in before], [row.interrupt_seconds for row in after])
    return HostCpu(
        busy / elapsed,
        None if stolen is None else stolen / elapsed,
        interrupts / elapsed if interrupts is not None and samples.header.interrupts_apart else None,
    )


def _growth(before: Sequence[float | None], after: Sequence[float | None]) -> float | None:
    """Summed over the cores that report it; None where none does."""
    grown = [new - old for old, new in zip(before, after, strict=True) if old is not None and new is not None]
    return sum(grown) if grown else None


def network_use(samples: Samples, interval: Interval) -> NetworkUse | None:
    """What went over the host's interfaces in what of the interval was read; None if that is too little."""
    start, end = interval
    readings = [
        sample
        for sample in samples.samples
        if sample.network_bytes and start <= samples.time_of(sample.monotonic_seconds) <= end
    ]
    if len(readings) < 2:
        return None
    first, last = readings[0], readings[-1]
    elapsed = last.monotonic_seconds - first.monotonic_seconds
    sent, received = _per_second(first.network_bytes, last.network_bytes, elapsed) or (0.0, 0.0)
    packets_sent, packets_received = _per_second(first.network_packets, last.network_packets, elapsed) or (
        None,
        None,
    )
    return NetworkUse(sent, received, packets_sent, packets_received)


def _per_second(
    before: tuple[int, int] | None, after: tuple[int, int] | None, elapsed: float
) -> tuple[float, float] | None:
    """Sent and received; None where it wasn't read."""
    if before is None or after is None:
        return None
    return (after[0] - before[0]) / elapsed, (after[1] - before[1]) / elapsed
