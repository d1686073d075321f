"""Real runs whose figures were doubled on their way, and real runs that another program spoilt."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.judge.judge import is_spoilt_by_machine
from bench.judge.reason import Reason
from tests.helpers.program import BRIEF_PROFILE, ROOT, run, run_results
from tests.helpers.this_machine import ThisMachine, busy_core, this_machine

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(300)]

DOUBLED = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
from bench.wire.master import WorkerSlice
from loadgen.cluster import LoadCluster
take = LoadCluster._take
def take_twice(self, event):
    take(self, event)
    if isinstance(event, WorkerSlice) and event.slice.k >= 1:
        take(self, event)
LoadCluster._take = take_twice
sys.argv[0] = {str(ROOT / "tasks.py")!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""
BRIEFLY = ("--profile", "brief", "--servers", "uvicorn", "--endpoints", "shortbody")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, shared_work_folder: Path) -> Iterator[ThisMachine]:
    with this_machine(tmp_path_factory.mktemp("figures"), BRIEF_PROFILE, shared=shared_work_folder) as found:
        yield found


def test_a_run_whose_seconds_came_twice_is_void_although_its_four_counts_agree(machine: ThisMachine) -> None:
    """288,470 requests in the window of a run whose four counts all said 113,191 was valid."""
    done = subprocess.run(
        [sys.executable, "-c", DOUBLED, *machine.bench("doubled", *BRIEFLY)], capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=120, cwd=ROOT,
    )  # fmt: skip
    (one,) = run_results(machine.results / "doubled")
    counts = one["counts"]
    assert counts["engine"] == counts["locust"] == counts["spool"] > 0
    assert 0 <= counts["server"] - counts["engine"] <= counts["in_flight_at_stop"]
    assert done.returncode == 60, done.stderr
    said = [reason for reason in one["reasons"] if reason["code"] == "FiguresContradict"]
    assert said and all(reason["invalidates"] for reason in said)
    assert one["reasons"][0]["code"] == "FiguresContradict"
    assert "figures contradict each other" in done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="programs are kept on cores, Linux only")
def test_a_first_try_that_another_program_spoilt_stays_in_the_results(machine: ThisMachine) -> None:
    """It was dropped without a word. Two programs have every core for as long as the benchmark lasts."""
    with contextlib.ExitStack() as busy:
        for core in os.sched_getaffinity(0):
            for _ in range(2):
                busy.enter_context(busy_core(core))
        done = run(*machine.bench("spoilt", *BRIEFLY))
    assert done.status == 60, done.stderr
    (one,) = run_results(machine.results / "spoilt")
    (earlier,) = one["earlier_attempts"]
    reasons = [msgspec.convert(reason, Reason) for reason in earlier["reasons"]]
    assert (one["attempt"], earlier["attempt"]) == (2, 1)
    assert is_spoilt_by_machine(reasons)
    had = earlier["requests_per_second"]
    assert f"(it had {had:,.0f} requests/s); measuring it once more" in done.stderr
    whole = machine.results / "spoilt" / "attempts" / f"{one['run_id']}-1" / "run.json"
    assert msgspec.json.decode(whole.read_bytes())["requests_per_second"] == had
    page = Path(done.stdout.rstrip().rpartition("\n")[2]).read_text()
    assert "measured again, because try 1 was void" in page
    assert "1 of 1 runs was measured again" in page
