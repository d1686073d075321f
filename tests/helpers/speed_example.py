"""The machine's own speed, as a run's yardstick would have read it."""

from __future__ import annotations

import msgspec

from bench.results.run import RunResult
from bench.results.speed import MachineSpeed, RestReadings, SpeedEvidence, machine_speed
from bench.wire.agent import Gauged
from tests.helpers.results_example import Example


def gauged(seconds: float, core: int = 0) -> Gauged:
    """Both pieces took ``seconds``, of CPU and by the clock."""
    return Gauged(core, seconds, seconds, seconds, seconds)


def speed(before: float, after: float | None = None, usual: float | None = None) -> MachineSpeed:
    """What the yardstick took in both rests of a run, and usually; in seconds."""
    first, last = (RestReadings((gauged(one),) * 4) for one in (before, after or before))
    return machine_speed(SpeedEvidence(first, last, usual), ())


def at_speed(run: RunResult, seconds: float, usual: float | None = None) -> RunResult:
    return msgspec.structs.replace(run, machine_speed=speed(seconds, usual=usual))


def at_speeds(made: Example, *seconds: float) -> Example:
    """The example's runs on a machine whose yardstick took ``seconds``, one run after the other."""
    by_position = {run.position: seconds[index % len(seconds)] for index, run in enumerate(made.runs)}
    return made.changed(lambda _: True, lambda run: at_speed(run, by_position[run.position]))
