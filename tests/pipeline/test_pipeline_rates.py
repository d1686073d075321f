"""Stated rates on this machine with real servers: one rate in all blocks, and one that can't be met."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.program import run, run_results
from tests.helpers.this_machine import ThisMachine, this_machine

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(600)]

PROFILES = """
[profiles.twice]
connections = 4
warmup_seconds = 1
window_seconds = 2
blocks = 2
idle_rest_seconds = 0.2
after_rest_seconds = 0.2

[profiles.long]
connections = 4
warmup_seconds = 1
window_seconds = 14
blocks = 1
idle_rest_seconds = 0.2
after_rest_seconds = 0.2
"""
# A busy machine voids runs, which is what status 60 says; what is asserted here holds for them, too.
MEASURED = (0, 60)
USUAL = ("--servers", "uvicorn", "--endpoints", "shortbody")
TRIES = ("twice", "again", "once-more")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, shared_work_folder: Path) -> Iterator[ThisMachine]:
    with this_machine(tmp_path_factory.mktemp("rates"), PROFILES, shared=shared_work_folder) as found:
        yield found


def test_a_share_is_one_rate_in_all_blocks_and_is_of_the_closed_loops_of_all(machine: ThisMachine) -> None:
    for name in TRIES:
        done = run(*machine.bench(name, *USUAL, "--profile", "twice", "--rate", "30%"))
        assert done.status in MEASURED, done.stderr
        runs = run_results(machine.results / name)
        closed = [one for one in runs if one["cell"]["rate_share"] is None]
        assert [one["block"] for one in closed] == [1, 2] and runs[:2] == closed, "they come first"
        reached = [one["requests_per_second"] for one in closed if one["valid"]]
        if reached:
            break
        # Others had the machine: without a maximum there is no share of it.
        assert len(runs) == 2 and "no valid closed-loop run shows the maximum" in done.stderr
    else:
        pytest.skip("other programs voided every closed loop on this machine")
    assert [(one["cell"]["rate_share"], one["block"]) for one in runs[2:]] == [(0.3, 1), (0.3, 2)]
    offered = [one["open_loop"] for one in runs[2:]]
    maximum = sum(reached) / len(reached)
    assert {one["own_maximum_per_second"] for one in offered} == {maximum}
    assert {one["offered_rate_per_second"] for one in offered} == {float(f"{0.3 * maximum:.3g}")}


def test_a_rate_that_can_not_be_met_ends_after_some_seconds(machine: ThisMachine) -> None:
    done = run(*machine.bench("long", *USUAL, "--profile", "long", "--rate", "60000"))
    assert done.status in MEASURED, done.stderr
    closed, opened = run_results(machine.results / "long")
    assert closed["timing"]["window_seconds"] == 14 and closed["open_loop"] is None
    found = opened["open_loop"]
    assert 4 <= found["ended_after_seconds"] <= 8
    assert opened["timing"]["window_seconds"] == 3
    assert opened["timing"]["total_seconds"] < closed["timing"]["total_seconds"] - 3
    assert opened["requests"] / 3 == pytest.approx(found["achieved_rate_per_second"])
    assert len([one for one in opened["seconds"] if one["in_window"]]) == 3
    assert opened["seconds"][-1]["second"] == found["ended_after_seconds"] - 1
    counts = opened["counts"]
    assert counts["engine"] == counts["locust"] == counts["spool"] > 0
    texts = [reason["text"] for reason in opened["reasons"]]
    assert any(text.startswith(f"ended after {found['ended_after_seconds']} s: of ") for text in texts), texts
    assert any("not of a whole window" in text for text in texts), texts
    # The part that was measured is what its server's CPU and memory are of.
    assert opened["server_cpu"]["cpu_seconds"] <= 3.2
