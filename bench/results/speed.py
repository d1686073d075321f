"""How fast the machine itself was: what a yardstick of fixed work took, and CPU per request.

The work is the same in every run (remote/onhost/agent/yardstick.py) and has nothing to do with the server, so
that what changes is the machine: its clock, its caches, its neighbours. All of this is pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import msgspec

from bench.wire.agent import Gauged

USUAL_OF_LATEST = 5
"""A run is held against so many runs before it: after a lasting change they are soon of the new speed."""


class WorkTime(msgspec.Struct, frozen=True):
    """One piece of fixed work over its readings, in seconds."""

    cpu_median: float
    cpu_min: float
    wall_median: float
    wall_min: float


class SpeedReading(msgspec.Struct, frozen=True):
    """The yardstick on some cores of a host, at rest."""

    cores: tuple[int, ...]  # () where the system can't pin: any core
    readings: int  # over all of these cores
    computing: WorkTime  # an interpreter's loop over memory
    kernel: WorkTime  # short messages over loopback TCP

    @property
    def seconds(self) -> float:
        """CPU seconds of both pieces, each with the same weight: the geometric mean of their medians."""
        return math.sqrt(self.computing.cpu_median * self.kernel.cpu_median)

    @property
    def waited(self) -> float:
        """Time by the clock over CPU time of both pieces: 1.0 where nothing else wanted the cores."""
        cpu = self.computing.cpu_median + self.kernel.cpu_median
        return (self.computing.wall_median + self.kernel.wall_median) / cpu if cpu else 1.0


class HostSpeed(msgspec.Struct, frozen=True):
    """One party's cores on one host. None: that rest had no reading."""

    before: SpeedReading | None  # after the server's start, before any load
    after: SpeedReading | None  # after the load

    @property
    def seconds(self) -> float | None:
        """Of the whole run: the mean of both rests. More is slower."""
        known = [one.seconds for one in (self.before, self.after) if one is not None]
        return sum(known) / len(known) if known else None

    @property
    def moved(self) -> float | None:
        """After over before: 1.2 where the cores were a fifth slower at the run's end."""
        if self.before is None or self.after is None or not self.before.seconds:
            return None
        return self.after.seconds / self.before.seconds


class MachineSpeed(msgspec.Struct, frozen=True):
    """The machine's own speed in one run."""

    server: HostSpeed  # the server's cores
    load: dict[str, HostSpeed]  # one core of the load on each load host
    usual_seconds: float | None = None  # ``server.seconds`` of the runs before this one; None: of none
    # Of the server, in each second of the window that it used enough of a core to tell.
    cpu_seconds_per_request: tuple[float, ...] = ()

    @property
    def against_usual(self) -> float | None:
        """1.2: the server's cores took a fifth longer for the same work than in the runs before."""
        seconds = self.server.seconds
        return seconds / self.usual_seconds if seconds and self.usual_seconds else None


class RestReadings(msgspec.Struct, frozen=True):
    """What the yardstick read in one rest, by host."""

    server: tuple[Gauged, ...] = ()
    load: dict[str, tuple[Gauged, ...]] = {}


class SpeedEvidence(msgspec.Struct, frozen=True):
    """A run's readings, and what was usual before it."""

    before: RestReadings
    after: RestReadings
    usual_seconds: float | None


def machine_speed(evidence: SpeedEvidence, cpu_seconds_per_request: Sequence[float]) -> MachineSpeed:
    """The readings of one run, summed up."""
    hosts = dict.fromkeys((*evidence.before.load, *evidence.after.load))
    return MachineSpeed(
        server=HostSpeed(_reading(evidence.before.server), _reading(evidence.after.server)),
        load={
            host: HostSpeed(
                _reading(evidence.before.load.get(host, ())), _reading(evidence.after.load.get(host, ()))
            )
            for host in hosts
        },
        usual_seconds=evidence.usual_seconds,
        cpu_seconds_per_request=tuple(cpu_seconds_per_request),
    )


def _reading(found: Sequence[Gauged]) -> SpeedReading | None:
    if not found:
        return None
    return SpeedReading(
        cores=tuple(sorted({one.core for one in found if one.core is not None})),
        readings=len(found),
        computing=_work_time([(one.computing_cpu_seconds, one.computing_wall_seconds) for one in found]),
        kernel=_work_time([(one.kernel_cpu_seconds, one.kernel_wall_seconds) for one in found]),
    )


def _work_time(times: Sequence[tuple[float, float]]) -> WorkTime:
    cpu, wall = zip(*times, strict=True)
    return WorkTime(median(cpu), min(cpu), median(wall), min(wall))


def usual_seconds(known: Iterable[MachineSpeed | None]) -> float | None:
    """What the yardstick took on the server's cores in the latest runs of a benchmark; None: in none yet."""
    found = [seconds for one in known if one is not None and (seconds := one.server.seconds) is not None]
    return median(found[-USUAL_OF_LATEST:]) if found else None


def spread(values: Sequence[float]) -> float | None:
    """How far the greatest is above the least: 0.3 for 30 %. None with fewer than two."""
    return max(values) / min(values) - 1 if len(values) > 1 and min(values) > 0 else None


def per_request_by_second(cpu_seconds: Mapping[int, float], requests: Mapping[int, int]) -> list[float]:
    """CPU seconds per request of each second that has both, and CPU enough for its ticks to be read."""
    return [
        cpu_seconds[second] / requests[second]
        for second in sorted(cpu_seconds.keys() & requests.keys())
        if requests[second] and cpu_seconds[second] >= LEAST_CPU_SECONDS
    ]


# CPU is read in ticks of 10 ms: below a fifth of a core in a second, they are more than a twentieth of it.
LEAST_CPU_SECONDS = 0.2
