"""The machine's own speed, by fixed work on the server's cores while it idles: what no server has a part in.

Such a run counts, but is measured once more: in whichever way it is off, so that repeats don't choose the
fast ones, and by the yardstick alone, never by a figure of the server. The second try stands as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import Priority, Rule
from bench.judge.thresholds import Thresholds

# Half of a change of the yardstick, or all of it, shows in the CPU that a request costs: over 25, 24 and 33
# runs of Uvicorn on two virtual cores, log for log, the slope was 0.6, 1.1 and 0.8, and the yardstick told
# 44, 72 and 18 % of the variance. So 15 % are 9 to 16 % of a server's figure; servers are told apart by 5 %.
SPEED_OFF = 0.15
# Each rest has a fifth of a second of readings, and its own noise: what lies between the two is wider.
SPEED_MOVED = 0.30
# Alone on its core, work takes 1.00 to 1.05 times its CPU time; beside one busy program, twice.
WAITED_AT_REST = 1.5
# Seconds of one window are within 1.1 of each other on a machine at one speed; beside busy neighbours the
# median of 24 and 33 runs was 1.22 and 1.31, and windows of 37 and 54 µs have been seen 2 s apart (1.46).
COST_MOVED = 1.3
LEAST_SECONDS = 3
REMEDY = "Use a machine that nobody shares, or repeat with more blocks at another hour"


class MachineSpeedOff(Rule, frozen=True):
    """The server's cores took more time for fixed work than in the runs before, or less."""

    priority: ClassVar[Priority] = Priority.OTHERS
    is_worth_another_try: ClassVar[bool] = True

    seconds: float  # CPU seconds of the yardstick in this run
    usual_seconds: float  # in the runs before
    remedy: str = REMEDY

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[MachineSpeedOff]:
        speed = figures.machine_speed
        if speed is None or speed.against_usual is None or speed.usual_seconds is None:
            return
        if not 1 / (1 + SPEED_OFF) <= speed.against_usual <= 1 + SPEED_OFF:
            yield cls(speed.against_usual * speed.usual_seconds, speed.usual_seconds)

    @property
    def text(self) -> str:
        is_slower = self.seconds > self.usual_seconds
        share = abs(self.seconds / self.usual_seconds - 1)
        way = f"{share:.0%} longer" if is_slower else f"{share:.0%} less"
        return (
            f"the machine itself was {'slower' if is_slower else 'faster'} than in the runs before: fixed "
            f"work on the server's cores took {_ms(self.seconds)}, {way} than the usual "
            f"{_ms(self.usual_seconds)}"
        )


class MachineSpeedMoved(Rule, frozen=True):
    """The server's cores took another time for fixed work after the load than before it."""

    priority: ClassVar[Priority] = Priority.OTHERS
    is_worth_another_try: ClassVar[bool] = True

    before_seconds: float
    after_seconds: float
    remedy: str = REMEDY

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[MachineSpeedMoved]:
        server = None if figures.machine_speed is None else figures.machine_speed.server
        if server is None or server.before is None or server.after is None or server.moved is None:
            return
        if not 1 / (1 + SPEED_MOVED) <= server.moved <= 1 + SPEED_MOVED:
            yield cls(server.before.seconds, server.after.seconds)

    @property
    def text(self) -> str:
        return (
            "the machine's own speed changed within the run: fixed work on the server's cores took "
            f"{_ms(self.before_seconds)} before the load and {_ms(self.after_seconds)} after it"
        )


class CoresBusyAtRest(Rule, frozen=True):
    """While the server idled, fixed work on its cores took far more time than CPU: it waited for the core."""

    priority: ClassVar[Priority] = Priority.OTHERS

    before: float  # by the clock over CPU time; 1.0: it never waited
    after: float
    remedy: str = "See what else runs on the server's cores, or whether the server itself is busy at rest"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[CoresBusyAtRest]:
        server = None if figures.machine_speed is None else figures.machine_speed.server
        if server is None:
            return
        before, after = (1.0 if one is None else one.waited for one in (server.before, server.after))
        if max(before, after) >= WAITED_AT_REST:
            yield cls(before, after)

    @property
    def text(self) -> str:
        return (
            "the server's cores were not idle at rest: fixed work took "
            f"{self.before:.1f} times its CPU time before the load and {self.after:.1f} times after it"
        )


class CpuPerRequestMoved(Rule, frozen=True):
    """What a request cost the server changed from second to second of the window. Never a cause to repeat."""

    least_seconds: float  # CPU seconds of the server per request, in the second that had the least
    greatest_seconds: float
    seconds: int  # of the window, in which it is known
    remedy: str = (
        "Compare it with the load's CPU per request and with other blocks: the machine's own speed isn't "
        "measured within a window"
    )

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[CpuPerRequestMoved]:
        costs = () if figures.machine_speed is None else figures.machine_speed.cpu_seconds_per_request
        if len(costs) >= LEAST_SECONDS and max(costs) > COST_MOVED * min(costs):
            yield cls(min(costs), max(costs), len(costs))

    @property
    def text(self) -> str:
        return (
            f"CPU per request moved within the window: {self.least_seconds * 1e6:,.0f} to "
            f"{self.greatest_seconds * 1e6:,.0f} µs over {self.seconds} of its seconds"
        )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"
