"""What the engine makes of answers that are wrong, late or missing, by real servers that misbehave."""

from __future__ import annotations

import hashlib
import time
from itertools import pairwise
from typing import Any

import pytest

from bench.wire.histogram import Histogram
from bench.wire.slices import Slice, Totals
from tests.helpers.driven_engine import (
    BODY,
    SECOND,
    Answer,
    Driven,
    Request,
    drive,
    engine_midpoint,
    ok,
    serving,
    spec,
)

pytestmark = pytest.mark.alone

WRONG = BODY.upper()
VALUES = [f"token{number}" for number in range(10)]
USERS: dict[str, Any] = {
    "rotate": {"header": "Authorization", "prefix": "Bearer ", "values": VALUES},
    "hash_sample_every": 1,
}


def body_of(value: str) -> bytes:
    """Each user's body has a length of its own, and users 0 and 1 have the same length."""
    return f"{'x' * max(int(value[-1]), 1)} is what {value} has".encode()


USERS["expect"] = {
    "status": 200,
    "length": None,
    "body_sha256": [hashlib.sha256(body_of(value)).hexdigest() for value in VALUES],
}


def user_of(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


def in_pieces(whole: bytes, *edges: int) -> Answer:
    """The server's socket sends each by itself, so the client mostly reads them one by one."""
    cuts = sorted({0, len(whole), *(edge % len(whole) for edge in edges)})
    return [whole[start:end] for start, end in pairwise(cuts)]


# Every small answer is compared


@pytest.mark.parametrize("edges", [(), (-len(BODY),), (-len(BODY), -3), (-3,), (10,)], ids=str)
def test_each_wrong_constant_body_is_counted_however_it_is_cut(edges: tuple[int, ...]) -> None:
    """The head is one that has been seen with right bodies, and the length is right."""

    def answer(request: Request) -> Answer:
        is_wrong = request.number >= 200 and request.number % 7 == 0
        return in_pieces(ok(WRONG if is_wrong else BODY), *edges)

    totals, server = drive(answer, 400, 3, hash_sample_every=1)
    wrong = sum(number >= 200 and number % 7 == 0 for number in range(len(server.requests)))
    answered = len(server.requests) - totals.in_flight_at_stop
    assert totals.failures.keys() == {"bad_body"}
    assert wrong - totals.in_flight_at_stop <= totals.failures["bad_body"] <= wrong
    assert totals.bodies_checked == totals.requests + totals.failures["bad_body"] == answered


@pytest.mark.parametrize("percent", [5, 9])
@pytest.mark.parametrize("edges", [(), (-4,)], ids=str)
def test_each_answer_that_another_user_should_have_had_is_counted(
    percent: int, edges: tuple[int, ...]
) -> None:
    """Of one length or of another; with all heads known."""
    wrong: list[int] = []

    def answer(request: Request) -> Answer:
        value = user_of(request)
        if request.number >= 200 and request.number % 100 < percent:
            wrong.append(request.number)
            value = VALUES[(VALUES.index(value) + 1) % len(VALUES)]
        return in_pieces(ok(body_of(value)), *edges)

    totals, server = drive(answer, 1_000, 2, **USERS)
    assert totals.failures.keys() == {"bad_body"}
    assert len(wrong) - totals.in_flight_at_stop <= totals.failures["bad_body"] <= len(wrong)
    assert totals.bodies_checked == totals.completed
    assert len(server.requests) == totals.completed + totals.in_flight_at_stop


def test_an_answer_of_the_right_head_that_ends_or_goes_on_is_told() -> None:
    """Its head is known: the body is cut off, or more comes than was announced."""
    head = len(ok()) - len(BODY)
    odd: list[tuple[Answer, str]] = [
        ([ok()[:head], BODY[:5], None], "closed_early"),
        ([ok()[:head], BODY + b"!"], "bad_framing"),
    ]
    for last, kind in odd:

        def answer(request: Request, last: Answer = last) -> Answer:
            return last if request.number == 100 else [ok()]

        totals, _ = drive(answer, 200, 1, hash_sample_every=1)
        assert totals.failures == {kind: 1}


def test_bodies_too_long_to_keep_are_hashed_each_where_every_one_is_to_be_checked() -> None:
    body = bytes(range(256)) * 100
    expect = {"status": 200, "length": len(body), "body_sha256": [hashlib.sha256(body).hexdigest()]}
    wrong = body[:-1] + b"!"

    def answer(request: Request) -> Answer:
        return [ok(wrong if request.number == 150 else body)]

    totals, _ = drive(answer, 300, 2, expect=expect, hash_sample_every=1)
    assert totals.failures == {"bad_body": 1}
    assert totals.bodies_checked == totals.completed


def test_of_long_bodies_a_sample_is_hashed_and_told() -> None:
    body = bytes(range(256)) * 400
    expect = {"status": 200, "length": len(body), "body_sha256": [hashlib.sha256(body).hexdigest()]}
    totals, server = drive(lambda request: [ok(body[::-1])], 400, 2, expect=expect, hash_sample_every=20)
    assert totals.bodies_checked == totals.failures["bad_body"]
    assert len(server.requests) / 20 - 2 <= totals.bodies_checked <= len(server.requests) / 20 + 2


def test_where_the_right_body_is_not_known_none_is_checked() -> None:
    expect: dict[str, Any] = {"status": 200, "length": None, "body_sha256": []}
    totals, _ = drive(lambda request: [ok()], 100, expect=expect, hash_sample_every=1)
    assert (totals.bodies_checked, totals.failures) == (0, {})


# What is never answered


def test_requests_that_are_never_answered_are_told_with_how_long_they_waited() -> None:
    """One in 1,800 (0.056 %), as a real server was seen to do."""

    def silence(request: Request) -> Answer:
        return [] if request.number % 1_800 == 900 else [ok()]

    totals, server = drive(silence, 9_000, 8, timeout_seconds=0.3)
    missing = sum(request.number % 1_800 == 900 for request in server.requests)
    waited = Histogram.from_pairs(totals.unanswered)
    assert waited.count == totals.failures["timeout"] == missing - totals.in_flight_at_stop > 0
    assert waited.quantile(0) >= 0.3 * SECOND * 0.999
    assert Histogram.from_pairs(totals.histogram).maximum < waited.quantile(0)


def drive_for(slices: int, answer: Any, connections: int, **changes: Any) -> tuple[list[Slice], Totals]:
    """Slices 0 to ``slices``, of which the last is cut short."""
    with serving(answer) as server:
        driven = Driven(spec(server.port, epoch=time.perf_counter() + 0.1, **changes))
        driven.on_slice = lambda one: driven.run.stop() if one.k == slices - 1 else None
        totals = driven.drive(connections)
    return driven.slices, totals


def test_what_is_in_flight_at_a_slices_end_is_told_with_its_age() -> None:
    """Three of five connections wait from the first moment on; the others are answered at once."""

    def answer(request: Request) -> Answer:
        return [] if request.number < 3 else [ok()]

    slices, _ = drive_for(2, answer, 5)
    for one in slices[1:3]:
        waiting = Histogram.from_pairs(one.in_flight)
        assert waiting.count == 5
        since_epoch = (one.k + 0.9) * SECOND
        old = sum(count for index, count in one.in_flight if engine_midpoint(index) > since_epoch)
        assert old == 3, "they have waited since before the epoch"


def test_in_open_loop_what_is_due_and_not_sent_is_in_flight_too() -> None:
    load: dict[str, Any] = {"mode": "open", "rate_per_second": 100, "max_backlog": 1_000}
    slices, _ = drive_for(2, lambda request: [], 4, **load)
    last = slices[2]
    assert Histogram.from_pairs(last.in_flight).count == pytest.approx(200, abs=20)
    assert Histogram.from_pairs(last.in_flight_service).count == 4
    assert Histogram.from_pairs(last.in_flight).maximum == pytest.approx(2.1 * SECOND, rel=0.05)


# Silence


def test_a_server_that_stalls_regularly_is_told_by_each_stall() -> None:
    """0.4 s of each second, all connections at once."""
    begun = time.monotonic()

    def answer(request: Request) -> Answer:
        since = (time.monotonic() - begun) % 1.0
        if since >= 0.6:
            time.sleep(1.0 - since)
        return [ok()]

    slices, totals = drive_for(3, answer, 4)
    whole = slices[1:4]
    assert 2 <= sum(one.stalls for one in whole) <= 3
    assert totals.quiet_seconds_max == pytest.approx(0.4, abs=0.1)
    assert totals.stalls == sum(one.stalls for one in slices)


def test_a_server_that_falls_silent_for_good_is_silent_to_the_end_of_each_slice() -> None:
    stop_at = time.monotonic() + 0.6

    def answer(request: Request) -> Answer:
        return [ok()] if time.monotonic() < stop_at else []

    slices, _ = drive_for(3, answer, 4)
    ends = [one.quiet_seconds_at_end for one in slices[1:4]]
    assert ends == pytest.approx([0.5, 1.5, 2.5], abs=0.15)
    assert [one.quiet_seconds_max for one in slices[1:4]] == ends
    assert sum(one.stalls for one in slices) == 0, "it has not ended"
    assert [one.requests for one in slices[2:4]] == [0, 0]


def test_a_busy_server_is_never_silent() -> None:
    slices, totals = drive_for(2, lambda request: [ok()], 4)
    assert totals.stalls == 0
    assert max(one.quiet_seconds_max for one in slices[1:3]) < 0.25


def test_slices_say_how_long_they_were() -> None:
    slices, totals = drive_for(2, lambda request: [ok()], 2)
    assert [one.k for one in slices] == [-1, 0, 1, 2]
    assert slices[0].seconds == pytest.approx(0.1, abs=0.09)
    assert [one.seconds for one in slices[1:3]] == [1.0, 1.0]
    assert 0 < slices[3].seconds < 0.5
    assert totals.seconds == pytest.approx(sum(one.seconds for one in slices))


def test_garbage_without_an_end_is_told_at_once() -> None:
    totals, _ = drive(lambda request: [b"SSH-2.0-OpenSSH_9.6"], 3, 1, timeout_seconds=5)
    assert totals.failures.keys() == {"bad_framing"}
