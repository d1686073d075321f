"""The clocks: whether a host's went on as the controller's did while a run was measured.

All that is measured goes by monotonic clocks, which nobody can set, and each host's is related to the
controller's by an offset that is measured before the run and after it. A time of day that is set meanwhile is
told, and moves nothing. A monotonic clock moves against another's only where a machine stood still (a laptop
that slept, a virtual machine that was paused or moved): then the hosts' windows are not the same seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import Priority, Rule
from bench.judge.thresholds import CLOCK_LIMITS_SECONDS, Thresholds

# A time service slews a clock by at most half a millisecond per second; two hosts' may go apart.
SLEWED_PER_SECOND = 0.001
# A machine that stood still is told from a host's by more hosts than one.
HOSTS_TO_TELL_THE_CONTROLLER = 2
CONTROLLER = "the controller"
"""Whose clock moved, where all the hosts' moved alike."""


class ClockMoved(Rule, frozen=True):
    """A machine stood still for a part of the run, or its clock went wrong by more than is slewed.

    The line is CLOCK_LIMITS_SECONDS: from there on windows and samples are cut at moments that differ by more
    than the benchmark counts on. CLOCK_STOPS_SECONDS is of hosts that can't be compared at all, and below
    CLOCK_REMARK_SECONDS no figure changes.
    """

    priority: ClassVar[Priority] = Priority.OTHERS
    is_of_machine: ClassVar[bool] = True

    host: str
    moved_seconds: float
    error_seconds: float
    invalidates: bool = True
    remedy: str = "See that the machine neither sleeps nor is paused nor moved while it is measured"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[ClockMoved]:
        clocks = {} if figures.clocks is None else figures.clocks.hosts
        moved = {
            host: one
            for host, one in clocks.items()
            if abs(one.moved_seconds) - one.error_seconds
            > max(CLOCK_LIMITS_SECONDS, SLEWED_PER_SECOND * one.between_seconds)
        }
        by = [one.moved_seconds for one in moved.values()]
        alike = bool(by) and max(by) - min(by) <= CLOCK_LIMITS_SECONDS
        if alike and len(moved) == len(clocks) >= HOSTS_TO_TELL_THE_CONTROLLER:
            yield cls(CONTROLLER, -median(by), max(one.error_seconds for one in moved.values()))
            return
        for host, one in moved.items():
            yield cls(host, one.moved_seconds, one.error_seconds)

    @property
    def text(self) -> str:
        against = "the hosts'" if self.host == CONTROLLER else "the controller's"
        moved = f"moved by {self.moved_seconds:+.3f} s against {against} within the run"
        return f"the clock of {self.host} {moved}: their windows are not the same seconds"


class ClockUncertain(Rule, frozen=True):
    """Whether a host's clock moved can't be told: the way to the host was too slow to read it well."""

    priority: ClassVar[Priority] = Priority.SAMPLES

    host: str
    error_seconds: float
    remedy: str = "See what slows the connection to the host"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[ClockUncertain]:
        for host, one in ({} if figures.clocks is None else figures.clocks.hosts).items():
            if one.error_seconds > CLOCK_LIMITS_SECONDS and not any(ClockMoved.find(figures, thresholds)):
                yield cls(host, one.error_seconds)

    @property
    def text(self) -> str:
        known = f"is known to {self.error_seconds:.2f} s only"
        return f"whether the clock of {self.host} moved within the run {known}"


class TimeOfDaySet(Rule, frozen=True):
    """Somebody set the time of day of a host or of the controller: what its logs say is in other times."""

    host: str
    set_seconds: float
    remedy: str = "Nothing has to be done: no figure goes by the time of day"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[TimeOfDaySet]:
        if figures.clocks is None:
            return
        by_host = {host: one.set_seconds for host, one in figures.clocks.hosts.items()}
        for host, seconds in {CONTROLLER: figures.clocks.controller_set_seconds, **by_host}.items():
            if abs(seconds) > CLOCK_LIMITS_SECONDS:
                yield cls(host, seconds)

    @property
    def text(self) -> str:
        return f"the time of day of {self.host} was set by {self.set_seconds:+.3f} s within the run"
