"""Clocks that are set while a real benchmark runs: the controller's, a load host's, the server host's.

The load is at a stated rate, so that each second of a window has as many requests as the others, whatever
else the machine does: a second that was cut shows at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.helpers.program import BRIEF_PROFILE, Finished, command, ended_well, run_results
from tests.helpers.set_clock import SetClock
from tests.helpers.this_machine import ThisMachine, this_machine

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(300)]

RATE = 200
RUNS_PER_BLOCK = 2
STEPS = (0.6, -60.0, 5.0, -5.0, 60.0, -0.6)
"""One for each run of the controller's: in turn as it begins, in its window, as its window has just ended."""
STEPS_OF_HOST = (5.0, -60.0)
MOMENTS = (0.0, 1.8, 3.2)
RUN_SECONDS_AT_MOST = 30.0


class Place(msgspec.Struct, frozen=True):
    """This machine as the only host."""

    machine: ThisMachine

    @property
    def folder(self) -> Path:
        return self.machine.folder

    def bench(self, name: str) -> list[str]:
        words = (
            "--profile",
            "brief",
            "--servers",
            "uvicorn",
            "--endpoints",
            "shortbody",
            "--rate",
            str(RATE),
        )
        return command(*self.machine.bench(name, *words))

    def measure(
        self, name: str, clock: SetClock, steps: Sequence[float], environment: dict[str, str]
    ) -> Finished:
        """A benchmark in each of whose runs the clock is set by the next of ``steps``."""
        profile = BRIEF_PROFILE.replace("blocks = 1", f"blocks = {len(steps) // RUNS_PER_BLOCK}")
        self.machine.catalogue.write_text(profile)
        samples = self.machine.workdir / "agent"
        for earlier in samples.glob("*.jsonl"):
            earlier.unlink()
        process = subprocess.Popen(
            self.bench(name), env={**os.environ, **environment}, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            for number in range(len(steps)):
                if not _wait_for(lambda number=number: _has_begun(samples, number + 1), process):
                    break
                time.sleep(MOMENTS[number % len(MOMENTS)])
                clock.set_by(sum(steps[: number + 1]))
            stdout, stderr = process.communicate(timeout=RUN_SECONDS_AT_MOST * len(steps))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        return Finished(process.returncode, stdout, stderr)


def _has_begun(samples: Path, number: int) -> bool:
    """Run ``number`` of the plan is being sampled, at whichever try: the head with both clocks is written."""
    return any(file.stat().st_size for file in samples.glob(f"{number:03}*.jsonl"))


def _wait_for(condition: Any, process: subprocess.Popen[str]) -> bool:
    """False where the benchmark ended before."""
    deadline = time.monotonic() + 4 * RUN_SECONDS_AT_MOST
    while time.monotonic() < deadline and process.poll() is None:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with this_machine(tmp_path_factory.mktemp("clocks"), BRIEF_PROFILE) as machine:
        yield Place(machine)


def assert_no_harm(runs: Sequence[dict[str, Any]]) -> None:
    """Windows are whole, none is longer, nothing is cut, and every count is right."""
    assert runs
    for one in runs:
        name = one["run_id"]
        seconds = [second for second in one["seconds"] if second["in_window"]]
        assert len(seconds) == 2, name
        if one["cell"]["rate_per_second"]:
            assert [second["requests"] for second in seconds] == pytest.approx([RATE] * 2, abs=0.3 * RATE), (
                name
            )
            assert one["requests_per_second"] == pytest.approx(RATE, rel=0.2), name
        assert one["timing"]["total_seconds"] < RUN_SECONDS_AT_MOST, name
        counts = one["counts"]
        assert counts["engine"] == counts["locust"] == counts["spool"] > 0, name
        assert one["server_cpu"] is not None and one["rss_bytes"]["idle"] and one["rss_bytes"]["after"], name
        assert len(one["memory"]) >= 8, name
        codes = {reason["code"] for reason in one["reasons"]}
        assert not codes & {"ClockMoved", "SlicesMissing", "SamplesIncomplete", "FiguresContradict"}, name


def told(one: dict[str, Any]) -> list[str]:
    return [reason["text"] for reason in one["reasons"] if reason["code"] == "TimeOfDaySet"]


@pytest.fixture(scope="module")
def controllers(place: Place) -> tuple[Finished, list[dict[str, Any]]]:
    clock = SetClock(place.folder / "controller")
    done = place.measure("controller", clock, STEPS, {"PYTHONPATH": str(clock.folder)})
    assert ended_well(done, place.folder / "results" / "controller"), done.stderr
    return done, run_results(place.folder / "results" / "controller")


def test_the_controllers_clock_is_set_within_each_run_and_no_window_is_cut(
    controllers: tuple[Finished, list[dict[str, Any]]],
) -> None:
    """0.6 s on cut the last second and counted it whole; 60 s back made 65 s of load in place of 5."""
    _, runs = controllers
    assert_no_harm(runs)


def test_a_controllers_clock_that_was_set_is_told(controllers: tuple[Finished, list[dict[str, Any]]]) -> None:
    _, runs = controllers
    for one, step in zip(runs, STEPS, strict=True):
        if one["attempt"] == 1:
            assert one["clocks"]["controller_set_seconds"] == pytest.approx(step, abs=0.05), one["run_id"]
            (text,) = told(one)
            assert text.startswith("the time of day of the controller was set by ")


def test_the_clocks_of_a_load_host_and_of_the_servers_host_are_set_and_no_window_is_cut(
    controllers: tuple[Finished, list[dict[str, Any]]], place: Place
) -> None:
    """The agent's Python and Locust's, which both import psutil; the guard goes on as before."""
    clock = SetClock(place.folder / "host")
    planted = list(place.machine.workdir.glob("**/lib/python3*/site-packages/psutil/__init__.py"))
    assert len(planted) >= 2
    for module in planted:
        clock.plant(module)
    done = place.measure("host", clock, STEPS_OF_HOST, {})
    assert ended_well(done, place.folder / "results" / "host"), done.stderr
    runs = run_results(place.folder / "results" / "host")
    assert_no_harm(runs)
    for one, step in zip(runs, STEPS_OF_HOST, strict=True):
        if one["attempt"] == 1:
            (seen,) = one["clocks"]["hosts"].values()
            assert seen["set_seconds"] == pytest.approx(step, abs=0.05), one["run_id"]
            assert len(told(one)) == 1 and "the time of day of here was set by" in told(one)[0]


def test_a_benchmark_whose_clock_was_set_has_its_report(
    controllers: tuple[Finished, list[dict[str, Any]]], place: Place
) -> None:
    done, _ = controllers
    assert Path(done.last_line).is_file()
    summary = json.loads((place.folder / "results" / "controller" / "summary.json").read_text())
    assert summary["complete"]
