"""The yardstick in a real benchmark: read in both rests of each run, and slower where its cores are taken."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.judge.rules.speed import CoresBusyAtRest, MachineSpeedOff
from bench.results.run import RunResult
from bench.results.speed import HostSpeed, SpeedReading, WorkTime
from bench.results.store import Store
from tests.helpers.program import run
from tests.helpers.this_machine import ThisMachine, busy_core, this_machine

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(300)]

PROFILE = """
[profiles.speed]
connections = 20
warmup_seconds = 1
window_seconds = 2
blocks = 2
idle_rest_seconds = 0.6
after_rest_seconds = 0.6
"""


class Here(msgspec.Struct, frozen=True):
    """This machine, with a profile of two short runs."""

    machine: ThisMachine

    def runs(self, name: str, *more: str) -> list[RunResult]:
        """Made now. Other programs of this machine may void them: that is no part of these tests."""
        words = ("--profile", "speed", "--servers", "uvicorn", "--endpoints", "shortbody", *more)
        run(*self.machine.bench(name, *words))
        return sorted(Store.open(self.machine.results, name).read_runs(), key=lambda one: one.position)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, shared_work_folder: Path) -> Iterator[Here]:
    with this_machine(tmp_path_factory.mktemp("speed"), PROFILE, shared=shared_work_folder) as machine:
        yield Here(machine)


def test_each_run_has_the_machines_speed_before_and_after_its_load(here: Here) -> None:
    first, second = here.runs("read")
    for one in (first, second):
        assert one.machine_speed is not None
        server, (load,) = one.machine_speed.server, one.machine_speed.load.values()
        for reading in (server.before, server.after, load.before, load.after):
            assert reading is not None and reading.readings >= 2
            assert 1e-4 < reading.seconds < 1
        if sys.platform == "linux":
            assert server.before is not None and load.before is not None
            assert server.before.cores and load.before.cores
            # Each on cores of its own, as it is placed.
            assert len(os.sched_getaffinity(0)) == 1 or set(server.before.cores).isdisjoint(load.before.cores)
        seconds = one.machine_speed.cpu_seconds_per_request
        assert one.cpu_seconds_per_request is not None and len(seconds) <= 2
        assert all(0.5 < cost / one.cpu_seconds_per_request < 2 for cost in seconds)
        # The rests are as long as planned, but for what a busy machine adds.
        assert one.timing.rest_seconds < 1.2 + 0.5
    # The first has nothing to be held against; the second is held against the first.
    assert first.machine_speed is not None and second.machine_speed is not None
    assert first.machine_speed.usual_seconds is None
    assert second.machine_speed.usual_seconds == pytest.approx(first.machine_speed.server.seconds)


def test_a_machine_half_as_fast_as_in_the_run_before_has_the_run_made_again_and_marked(here: Here) -> None:
    """The first run as a machine twice as fast would have left it; the second is made here and now."""
    first, second = here.runs("before")
    store = Store.open(here.machine.results, "before")
    for one in (first, second):
        shutil.rmtree(store.runs_directory / one.run_id)
    shutil.rmtree(store.attempts_directory, ignore_errors=True)
    assert first.machine_speed is not None
    faster = HostSpeed(*map(_twice_as_fast, (first.machine_speed.server.before, None)))
    speed = msgspec.structs.replace(first.machine_speed, server=faster)
    store.write_run(msgspec.structs.replace(first, machine_speed=speed, earlier_attempts=()), {})
    _, again = here.runs("before", "--resume")
    assert again.attempt == 2
    assert {MachineSpeedOff.code()} <= {one.code for tried in again.earlier_attempts for one in tried.reasons}
    assert "slower than in the runs before" in " ".join(reason.text for reason in again.reasons)


def _twice_as_fast(reading: SpeedReading | None) -> SpeedReading | None:
    if reading is None:
        return None
    half = [
        WorkTime(one.cpu_median / 2, one.cpu_min / 2, one.wall_median / 2, one.wall_min / 2)
        for one in (reading.computing, reading.kernel)
    ]
    return msgspec.structs.replace(reading, computing=half[0], kernel=half[1])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux pins a process to a core")
def test_cores_that_another_program_takes_at_rest_are_named_in_the_run(here: Here) -> None:
    with busy_core(min(os.sched_getaffinity(0))):
        runs = here.runs("taken")
    for one in runs:
        assert one.machine_speed is not None and one.machine_speed.server.before is not None
        assert one.machine_speed.server.before.waited > 1.3
    assert CoresBusyAtRest.code() in {reason.code for one in runs for reason in one.reasons}
