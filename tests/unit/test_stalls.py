"""Wrong answers, silence, connections that stand still and reconnects: what a run's rules make of them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.judge.figures import CpuUse, LoadUse, RunFigures
from bench.judge.judge import judge
from bench.judge.reason import Reason
from bench.results.answers import answers_of
from bench.results.figures import LoadWorker, Second
from bench.results.upper_share import upper_share
from bench.results.window import Window, WorkerSecond
from bench.wire.histogram import index_of
from bench.wire.slices import Pairs

MILLISECOND = 1_000_000
FAST: Pairs = ((index_of(MILLISECOND), 40_000),)
LENGTH = 8


def worker(name: str = "a/0", requests: int = 40_000, reconnects: int = 0) -> LoadWorker:
    return LoadWorker(name, "a", requests, 0.3, 0.1, 0.0, 50, reconnects, 1_000)


def seconds_of(*requests: int) -> tuple[Second, ...]:
    return tuple(Second(k, True, count, 0, None, None, None) for k, count in enumerate(requests))


def quiet(at_end: dict[int, float], most: dict[int, float], stalls: dict[int, int], name: str = "a/0") -> Any:
    return tuple(
        WorkerSecond(name, k, max(most.get(k, 0.0), at_end.get(k, 0.0)), at_end.get(k, 0.0), stalls.get(k, 0))
        for k in range(LENGTH)
    )


def window(silence: Any = (), *, histogram: Pairs = FAST, **rest: Any) -> Window:
    changes: dict[str, Any] = {
        "failures": {},
        "workers": (worker(),),
        "requests": sum(count for _, count in histogram),
        **rest,
    }
    return Window(
        seconds=LENGTH,
        bytes_received=1_000,
        histogram=histogram,
        failure_histogram=(),
        gaps={},
        silence=silence,
        **changes,
    )


BUSY = seconds_of(*[5_000] * LENGTH)


def reasons(
    found: Window, seconds: tuple[Second, ...] = BUSY, connections: int = 50, **rest: Any
) -> dict[str, Reason]:
    figures = RunFigures(
        requests=found.requests,
        server=CpuUse(0.99, 1.0),
        load=(LoadUse("a/0", 0.4),),
        connections=connections,
        failures=found.failures,
        answers=answers_of(found, seconds),
        window_seconds=LENGTH,
        **rest,
    )
    return {reason.code: reason for reason in judge(figures).as_reasons()}


# Wrong answers


def test_one_wrong_body_among_tens_of_thousands_voids() -> None:
    found = reasons(window(failures={"bad_body": 1}, bodies_checked=40_001))
    assert list(found) == ["WrongAnswers"], "it isn't said twice"
    assert found["WrongAnswers"].invalidates
    assert found["WrongAnswers"].text == "1 of 40,001 answers had a body that was wrong (less than 0.01%)"


def test_wrong_bodies_of_a_sample_are_scaled_up_with_what_it_bears() -> None:
    found = reasons(window(failures={"bad_body": 36}, bodies_checked=400))["WrongAnswers"]
    assert found.invalidates
    assert found.text == (
        "36 of the 400 bodies that were looked at were wrong: about 9.00% of all answers, and 12% at most"
    )


def test_a_wrong_length_is_a_wrong_body() -> None:
    found = reasons(window(failures={"bad_length": 2}, bodies_checked=40_000))
    assert list(found) == ["WrongAnswers"]
    assert (
        found["WrongAnswers"].text
        == "2 of 40,002 answers had a body that was of the wrong length (less than 0.01%)"
    )


@pytest.mark.parametrize(
    ("found", "of", "upper"), [(0, 100, 0.0295), (0, 0, 1.0), (5, 5, 1.0), (36, 400, 0.1160)]
)
def test_what_a_sample_bears(found: int, of: int, upper: float) -> None:
    assert upper_share(found, of) == pytest.approx(upper, abs=2e-3)


# Silence


def test_a_server_that_stops_in_mid_window_is_named_with_the_second_and_voids() -> None:
    """[28015, 26042, 23063, 22837, 11482, 0, 0, 0], all 50 connections waiting, as SIGSTOP made it."""
    silence = quiet({4: 0.5, 5: 1.5, 6: 2.5, 7: 3.5}, {}, {})
    seconds = seconds_of(28_015, 26_042, 23_063, 22_837, 11_482, 0, 0, 0)
    found = reasons(window(silence), seconds)
    assert list(found) == ["StoppedAnswering"]
    assert found["StoppedAnswering"].invalidates
    assert found["StoppedAnswering"].text == (
        "the server (or the link to it) stopped answering from second 4 on, 3.5 s before the window’s end"
    )


def test_a_link_that_was_down_for_three_seconds_is_named_and_voids() -> None:
    silence = quiet({2: 0.7, 3: 1.7, 4: 2.7}, {5: 3.1}, {5: 1})
    found = reasons(window(silence), seconds_of(5_000, 5_000, 1_500, 0, 0, 3_000, 5_000, 5_000))
    assert found["StoppedAnswering"].text == (
        "the server (or the link to it) stopped answering for 3.1 s from second 2 on"
    )
    assert found["StoppedAnswering"].invalidates


def test_stalls_that_recur_are_the_servers_own_and_void_nothing() -> None:
    """0.5 s of each 2.5 s; and one second of each two, although whole seconds are empty then."""
    found = reasons(window(quiet({}, {1: 0.5, 4: 0.49, 6: 0.5}, {1: 1, 4: 1, 6: 1})))
    assert list(found) == ["ServerStalls"]
    assert found["ServerStalls"].text == "no answer came for 0.50 s at most, 3 times for 0.25 s or more"
    longer = quiet({1: 0.9, 3: 0.9, 5: 0.9}, {2: 1.1, 4: 1.0, 6: 1.1}, {2: 1, 4: 1, 6: 1})
    assert list(reasons(window(longer), seconds_of(9, 9, 9, 0, 9, 0, 9, 9))) == ["ServerStalls"]


def test_a_standstill_among_short_stalls_is_none_of_them() -> None:
    silence = quiet({5: 0.9, 6: 1.9, 7: 2.9}, {0: 0.3, 1: 0.3, 3: 0.3}, {0: 1, 1: 1, 3: 1})
    assert list(reasons(window(silence))) == ["StoppedAnswering"]


def test_a_second_without_an_answer_is_named_whoever_was_kept_from_looking() -> None:
    found = reasons(window(quiet({}, {}, {})), seconds_of(5_000, 5_000, 0, 0, 5_000, 5_000, 5_000, 5_000))
    assert "for 2.0 s from second 2 on" in found["StoppedAnswering"].text


def test_seconds_of_wrong_answers_are_no_silence() -> None:
    wrong = tuple(Second(k, True, 0 if k > 5 else 5_000, 5_000, None, None, None) for k in range(LENGTH))
    assert list(reasons(window(failures={"bad_body": 10_000}, bodies_checked=50_000), wrong)) == [
        "WrongAnswers"
    ]


def test_few_and_slow_answers_are_no_silence() -> None:
    """Ten connections whose answers take 0.4 s, all at once; and two requests per second."""
    slow: Pairs = ((index_of(400 * MILLISECOND), 200),)
    silence = quiet({}, dict.fromkeys(range(LENGTH), 0.4), dict.fromkeys(range(LENGTH), 2))
    assert reasons(window(silence, histogram=slow, workers=(worker(requests=200),))) == {}
    rare: Pairs = ((index_of(MILLISECOND), 16),)
    silence = quiet({}, dict.fromkeys(range(LENGTH), 0.9), dict.fromkeys(range(LENGTH), 1))
    few = window(silence, histogram=rare, workers=(worker(requests=16),))
    assert reasons(few, seconds_of(2, 2, 0, 2, 2, 3, 2, 2)) == {}


def test_silence_towards_one_of_two_load_workers_is_its_link() -> None:
    silence = quiet({2: 0.7, 3: 1.7}, {4: 2.0}, {4: 1}) + quiet({}, {}, {}, name="b/0")
    both = (worker(requests=20_000), worker("b/0", 20_000))
    found = reasons(window(silence, workers=both))["StoppedAnswering"]
    assert "stopped answering load worker a/0 for 2.0 s" in found.text
    assert found.invalidates


# Connections that stand still


def standing(requests: int, age_seconds: float, at: int = 5) -> Any:
    flight: Pairs = ((index_of(MILLISECOND), 5), (index_of(round(age_seconds * 1e9)), requests))
    return tuple(
        WorkerSecond("a/0", k, 0.0, 0.0, 0, flight if k == at else flight[:1]) for k in range(LENGTH)
    )


def test_one_of_two_workers_that_stands_still_voids() -> None:
    found = reasons(window(standing(25, 3.0)))
    assert list(found) == ["ConnectionsStandStill"]
    assert found["ConnectionsStandStill"].invalidates
    assert found["ConnectionsStandStill"].text == (
        "25 of 50 connections waited for an answer, up to 3.0 s at the end of second 5, "
        "while others were answered"
    )


def test_a_few_requests_that_hang_are_told_and_void_nothing() -> None:
    found = reasons(window(standing(2, 3.0)))
    assert list(found) == ["ConnectionsStandStill"]
    assert not found["ConnectionsStandStill"].invalidates


def test_requests_as_old_as_answers_take_are_nothing_of_note() -> None:
    assert reasons(window(standing(25, 0.9))) == {}
    slow: Pairs = ((index_of(MILLISECOND), 900), (index_of(400 * MILLISECOND), 100))
    assert "ConnectionsStandStill" not in reasons(window(standing(25, 3.0), histogram=slow))


# Reconnects


def test_reconnects_are_named_with_their_share() -> None:
    found = reasons(window(workers=(worker(reconnects=40_000),)))
    assert list(found) == ["ClientReconnects"]
    assert found["ClientReconnects"].text == (
        "the server ended the connection after 100% of its answers: 40,000 requests waited for a new one, "
        "which is in their latency"
    )
    assert reasons(window(workers=(worker(reconnects=300),))) == {}


# Rates


def test_a_window_that_is_cut_short_is_not_counted_as_whole() -> None:
    cut = window(measured_seconds=7.4, requests=37_000)
    assert cut.requests_per_second == 5_000
    assert window(requests=40_000).requests_per_second == 5_000


def test_older_results_say_nothing_of_it() -> None:
    figures = RunFigures(requests=1, server=CpuUse(0.99, 1.0), load=(LoadUse("a/0", 0.4),))
    assert judge(figures).reasons == ()
