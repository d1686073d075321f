"""Clocks that move while a run is measured: what is void, whose clock it is, and what moves no figure."""

from __future__ import annotations

import re
import time

import pytest

from bench.environment.clocks import ClockReading
from bench.judge.figures import RunFigures
from bench.judge.judge import is_spoilt_by_machine, judge
from bench.judge.reason import Reason
from bench.results.clocks import ClockEvidence, HostClock, RunClocks, run_clocks
from bench.samples.read import parse_samples
from bench.wire.guard import ClockTime
from loadgen.onhost.engine.tally import SliceClock
from remote.guarded import _clock_reading
from tests.helpers.program import ROOT
from tests.helpers.samples_example import MONOTONIC, WALL, end, full, head, sample

STEPS = (0.6, -0.6, 5.0, -5.0, 60.0, -60.0)
ERROR = 0.001
LEAD = WALL - MONOTONIC


def reading(at: float, offset: float = 0.0, *, lead: float = LEAD, error: float = ERROR) -> ClockReading:
    return ClockReading(at, offset, offset, error, lead)


def evidence(*after: ClockReading, leads: tuple[float, ...] = (LEAD, LEAD)) -> ClockEvidence:
    """Hosts host-0, host-1, ... whose clocks were alike before."""
    names = [f"host-{index}" for index in range(len(after))]
    return ClockEvidence(dict.fromkeys(names, reading(100.0)), dict(zip(names, after, strict=True)), leads)


def reasons(clocks: RunClocks) -> tuple[Reason, ...]:
    """Those that the clocks give."""
    found = judge(RunFigures(requests=1, server=None, load=(), clocks=clocks)).as_reasons()
    return tuple(one for one in found if one.code in ("ClockMoved", "ClockUncertain", "TimeOfDaySet"))


@pytest.mark.parametrize("step", STEPS)
def test_a_hosts_clock_that_moved_within_the_run_voids_it_and_it_is_measured_once_more(step: float) -> None:
    """A virtual machine that stood still: load hosts and the server's host alike."""
    (only,) = reasons(run_clocks(evidence(reading(130.0), reading(130.0, step)), {}))
    assert (only.code, only.invalidates) == ("ClockMoved", True)
    assert f"host-1 moved by {step:+.3f} s against the controller's" in only.text
    assert is_spoilt_by_machine([only])


@pytest.mark.parametrize("step", STEPS)
def test_the_controllers_clock_is_named_where_all_hosts_moved_alike(step: float) -> None:
    after = (reading(130.0, step), reading(130.0, step + 0.002))
    (only,) = reasons(run_clocks(evidence(*after), {}))
    assert (only.code, only.invalidates) == ("ClockMoved", True)
    assert "the clock of the controller moved by" in only.text and "against the hosts'" in only.text


@pytest.mark.parametrize("moved", [0.0, 0.04, -0.04])
def test_a_clock_that_keeps_within_the_line_says_nothing(moved: float) -> None:
    assert reasons(run_clocks(evidence(reading(130.0, moved)), {})) == ()


def test_a_clock_that_is_slewed_through_a_long_run_says_nothing() -> None:
    assert reasons(run_clocks(evidence(reading(100.0 + 300.0, 0.2)), {})) == ()
    assert [one.code for one in reasons(run_clocks(evidence(reading(100.0 + 30.0, 0.2)), {}))] == [
        "ClockMoved"
    ]


def test_a_clock_that_was_read_badly_is_said_to_be_uncertain() -> None:
    (only,) = reasons(run_clocks(evidence(reading(130.0, 0.1, error=0.3)), {}))
    assert (only.code, only.invalidates) == ("ClockUncertain", False)


@pytest.mark.parametrize("step", STEPS)
def test_a_time_of_day_that_is_set_is_told_and_voids_nothing(step: float) -> None:
    """On a host; on the controller; and there and back within the run, as its agent saw it."""
    on_host = run_clocks(evidence(reading(130.0, lead=LEAD + step)), {})
    on_controller = run_clocks(evidence(reading(130.0), leads=(LEAD, LEAD + step, LEAD)), {})
    lines = [full(0, [1, 1, 1]), sample(1, [1, 1, 0.0], t=WALL + 1 + step), full(2, [1, 1, 1])]
    samples = parse_samples(head() + b"".join(lines) + end(4))
    there_and_back = run_clocks(evidence(reading(130.0)), {"host-0": samples})
    for clocks, name in ((on_host, "host-0"), (on_controller, "the controller"), (there_and_back, "host-0")):
        (only,) = reasons(clocks)
        assert (only.code, only.invalidates) == ("TimeOfDaySet", False)
        assert f"the time of day of {name} was set by {step:+.3f} s" in only.text


def test_what_a_host_that_was_lost_did_is_not_known() -> None:
    assert run_clocks(ClockEvidence({"a": reading(1.0)}, {}, ()), {}) == RunClocks({}, 0.0)


def test_the_moved_clock_is_known_to_the_errors_of_both_readings() -> None:
    clocks = run_clocks(evidence(reading(130.0, 0.3, error=0.02)), {})
    assert clocks.hosts["host-0"] == HostClock(0.3, 0.02 + ERROR, 30.0, 0.0)


def test_an_offset_is_half_a_round_trip_exact_whatever_the_time_of_day_is() -> None:
    """Sent at 10.0, answered by a host that is 990 s ahead, received at 10.2 s."""
    theirs = ClockTime(WALL + 7.0, 1000.1)
    one = _clock_reading(10.0, theirs, 10.2, wall_lead=WALL - 10.1)
    assert one.monotonic_offset == pytest.approx(990.0)
    assert one.wall_offset == pytest.approx(7.0)
    assert one.error == pytest.approx(0.1)
    assert one.at == pytest.approx(10.1)
    assert one.wall_lead == pytest.approx(WALL + 7.0 - 1000.1)


STAMPS = {
    "session/measure.py": "when a run began, for readers; and whether ours was set meanwhile",
    "remote/guarded.py": "whether a host's time of day was set, and how far it is from ours",
    "remote/facts.py": "how far a host's time of day is from ours, for hosts.check",
    "remote/onhost/bootstrap/probe.py": "the host's end of that",
    "remote/onhost/guard/verbs/lease.py": "both clocks of the host, at one moment",
    "remote/onhost/agent/run.py": "whether the host's time of day was set within a run",
    "remote/onhost/guard/record.py": "the times in a log",
    "remote/onhost/guard/become.py": "since when another session holds the host, for readers",
    "remote/guard_link.py": "the same, in minutes",
    "loadgen/onhost/h2load/run.py": "by how much it leads, to place h2load's own stamps between two looks",
    "loadgen/onhost/worker/engine_worker.py": "a field of Locust's statistics that nothing of ours reads",
}
"""Where the time of day is looked at, and what for: never for a wait, a deadline or a window."""


def test_nothing_but_time_stamps_goes_by_the_time_of_day() -> None:
    rooms = ("bench", "inventory", "testapp", "remote", "loadgen", "reports", "session")
    found = {
        str(path.relative_to(ROOT))
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"\btime\.time(_ns)?\(", path.read_text())
    }
    assert found == set(STAMPS)


def test_the_counter_of_the_engine_is_the_hosts_monotonic_clock() -> None:
    """The guard reads one and the engine the other: an epoch holds for both."""
    before = time.perf_counter_ns()
    clock = SliceClock(time.monotonic() + 5.0, 1_000.0)
    assert clock.epoch_nanoseconds - before == pytest.approx(1_005 * 10**9, abs=10**9)
