"""A rate that can't be met is seen from the live seconds, and nothing else is taken for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from bench.spec import Arrivals
from bench.wire.slices import Slice
from loadgen.live import LiveSecond, LiveSeconds
from loadgen.overload import lasting_overload

STEPS = 100
"""A second in the simulated queue."""
Capacity = Callable[[float], float]
"""Requests/s that the server can answer at a moment, in seconds since the epoch."""


def served(
    rate: float, capacity: Capacity, *, seconds: int = 30, arrivals: Arrivals = "constant", seed: int = 1
) -> list[LiveSecond]:
    """What each second of a queue in front of such a server looks like."""
    chance = random.Random(seed)
    waiting = credit = due = 0.0
    next_due = 0.0
    found = []
    for second in range(seconds):
        answered, most = 0, 0.0
        for step in range(STEPS):
            now = second + step / STEPS
            while next_due <= now:
                due += 1
                waiting += 1
                next_due += chance.expovariate(rate) if arrivals == "poisson" else 1 / rate
            credit = min(credit + capacity(now) / STEPS, max(waiting, 1.0))
            done = int(min(waiting, credit))
            waiting, credit, answered = waiting - done, credit - done, answered + done
            most = max(most, waiting)
        found.append(LiveSecond(second, answered, None, 0.5, answered, round(most)))
    return found


def ended_at(rate: float, seconds: Sequence[LiveSecond], arrivals: Arrivals = "constant") -> int | None:
    """After how many seconds the load is ended, watched second by second."""
    for known in range(1, len(seconds) + 1):
        found = lasting_overload(seconds[:known], rate, arrivals)
        if found is not None:
            assert found == range(known - 3, known), "what is measured are the seconds that showed it"
            return known
    return None


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
@pytest.mark.parametrize("rate", [200.0, 2_000.0, 20_000.0])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_a_rate_that_can_not_be_met_ends_after_some_three_seconds(
    arrivals: Arrivals, rate: float, part: float
) -> None:
    seconds = served(rate, lambda now: part * rate, arrivals=arrivals, seconds=12)
    found = ended_at(rate, seconds, arrivals)
    assert found is not None and found <= (4 if rate >= 2_000 and part <= 0.5 else 7)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rate", [5.0, 60.0, 1_000.0])
@pytest.mark.parametrize("part", [1.03, 1.3, 3.0])
def test_bursts_of_poisson_arrivals_end_nothing(seed: int, rate: float, part: float) -> None:
    seconds = served(rate, lambda now: part * rate, arrivals="poisson", seed=seed, seconds=40)
    assert ended_at(rate, seconds, "poisson") is None


@pytest.mark.parametrize(
    "capacity",
    [
        pytest.param(lambda now: 150.0 + 150.0 * now, id="a start-up of six seconds"),
        pytest.param(lambda now: 300.0 * 1.25**now, id="a start-up that quickens"),
        pytest.param(lambda now: 0.0 if now % 5 >= 4 else 1_600.0, id="a stall of a second in five"),
        pytest.param(lambda now: 0.0 if now < 4 else 3_000.0, id="nothing for four seconds, then all"),
        pytest.param(lambda now: 600.0 if 10 <= now < 14 else 1_500.0, id="others took cores in mid-run"),
        pytest.param(lambda now: 980.0, id="missed by less than runs differ"),
    ],
)
def test_what_passes_ends_nothing(capacity: Capacity) -> None:
    assert ended_at(1_000.0, served(1_000.0, capacity)) is None


def test_a_slow_start_into_an_overload_is_ended_once_the_pace_is_steady() -> None:
    def capacity(now: float) -> float:
        return min(600.0, 100.0 + 100.0 * now)

    found = ended_at(1_000.0, served(1_000.0, capacity))
    assert found is not None and 6 <= found <= 9


@pytest.mark.parametrize("seed", range(5))
def test_an_overload_on_a_noisy_machine_is_one_too(seed: int) -> None:
    """Other programs halve the pace in some seconds and not in others."""
    noise = random.Random(seed)
    pace = [noise.uniform(300.0, 600.0) for _ in range(12)]
    found = ended_at(1_000.0, served(1_000.0, lambda now: pace[int(now)], seconds=12))
    assert found is not None and found <= 6


def test_a_second_that_a_worker_did_not_report_is_no_ground_to_end() -> None:
    seconds = served(1_000.0, lambda now: 500.0, seconds=4)
    assert ended_at(1_000.0, seconds) == 4
    assert ended_at(1_000.0, [seconds[0], seconds[1], seconds[3]]) is None


def one_slice(k: int, answered: int, backlog: int, dropped: int = 0) -> Slice:
    pairs = ((100, answered),)
    return Slice(
        k, answered - 1, {"timeout": 1}, 500, 0, 0, 1, pairs, (), 0.1, 0.1, 0.001,
        backlog_max=backlog, backlog_dropped=dropped,
    )  # fmt: skip


def test_the_live_seconds_sum_up_all_load_workers_and_count_the_dropped_as_waiting() -> None:
    live = LiveSeconds(2)
    for k in range(-1, 4):
        live.take("a/0", one_slice(k, 250, 250 * (k + 1), dropped=5 if k == 2 else 0))
        live.take("b/0", one_slice(k, 240, 260 * (k + 1)))
    assert [one.answered for one in live.seconds()] == [490] * 4
    assert [one.waiting for one in live.seconds()] == [510, 1_020, 1_535, 2_045]
    assert all(later.second - earlier.second == 1 for earlier, later in pairwise(live.seconds()))
    assert live.latest() == live.seconds()[-1]
    assert lasting_overload(live.seconds(), 1_000.0) == range(1, 4)
    assert lasting_overload(live.seconds(), 500.0) is None
