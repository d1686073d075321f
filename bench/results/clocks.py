"""What the clocks did in one run, against each other and against themselves."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bench.environment.clocks import ClockReading
from bench.samples.read import Samples


class HostClock(msgspec.Struct, frozen=True):
    """One host's clocks over a run, in seconds."""

    moved_seconds: float  # its monotonic clock against the controller's, from before the run to after it
    error_seconds: float  # ``moved_seconds`` is known to plus or minus this
    between_seconds: float  # how long after the first reading the second was made
    set_seconds: float  # its time of day against its own monotonic clock: the farthest that it was set


class RunClocks(msgspec.Struct, frozen=True):
    """The clocks of all that took part in a run."""

    hosts: dict[str, HostClock]  # by name
    controller_set_seconds: float  # as HostClock.set_seconds, of the controller's own process


class ClockEvidence(msgspec.Struct, frozen=True):
    """The clocks as they were read before a run and after it; of the controller, its ``wall_lead`` alone."""

    before: dict[str, ClockReading]  # by host
    after: dict[str, ClockReading]
    controller_leads: tuple[float, ...]  # from the run's begin to its end; seconds, as ClockReading.wall_lead

    @property
    def offsets(self) -> dict[str, float]:
        """{host: its monotonic clock minus the controller's} in seconds, as the run went by them."""
        return {host: one.monotonic_offset for host, one in self.before.items()}


def run_clocks(evidence: ClockEvidence, samples: Mapping[str, Samples]) -> RunClocks:
    """What the clocks did. ``samples``, by host, show what was set, and set back, within the run."""
    hosts = {
        host: _host_clock(first, evidence.after[host], samples.get(host))
        for host, first in evidence.before.items()
        if host in evidence.after
    }
    return RunClocks(hosts, _farthest(evidence.controller_leads))


def _host_clock(first: ClockReading, last: ClockReading, samples: Samples | None) -> HostClock:
    leads = (first.wall_lead, last.wall_lead)
    return HostClock(
        moved_seconds=last.monotonic_offset - first.monotonic_offset,
        error_seconds=first.error + last.error,
        between_seconds=last.at - first.at,
        set_seconds=max(
            _farthest(leads), 0.0 if samples is None else _farthest(samples.wall_leads()), key=abs
        ),
    )


def _farthest(leads: tuple[float, ...]) -> float:
    return max((lead - leads[0] for lead in leads), key=abs, default=0.0)
