"""What the sampling itself cost, and how well its schedule was kept."""

from __future__ import annotations

import msgspec

from bench.samples.read import Samples
from bench.samples.tree import Interval


class AgentCost(msgspec.Struct, frozen=True):
    """What the agent took, and how its schedule was kept over the whole run."""

    core_share: float | None  # of one core, in the interval; None: fewer than two of its readings lie there
    missed: int  # slots of the schedule without a sample
    late_max_seconds: float


def agent_cost(samples: Samples, interval: Interval) -> AgentCost:
    """The agent's own use of a core in the interval, and its schedule."""
    start, end = interval
    readings = [
        (sample.monotonic_seconds, sample.agent_cpu_seconds)
        for sample in samples.samples
        if sample.agent_cpu_seconds is not None and start <= samples.time_of(sample.monotonic_seconds) <= end
    ]
    share = None
    if len(readings) > 1:
        (first, first_cpu), (last, last_cpu) = readings[0], readings[-1]
        share = (last_cpu - first_cpu) / (last - first)
    missed = max((sample.missed or 0 for sample in samples.samples), default=0)
    late = max((sample.late_seconds or 0.0 for sample in samples.samples), default=0.0)
    if samples.footer is not None:
        missed, late = samples.footer.missed, samples.footer.late_max_seconds
    return AgentCost(share, missed, late)


def missed_share(samples: Samples) -> float:
    """The part of the schedule's slots without a sample; 1.0 where nothing was sampled."""
    taken = len(samples.samples)
    missed = samples.footer.missed if samples.footer else 0
    return missed / (taken + missed) if taken + missed else 1.0
