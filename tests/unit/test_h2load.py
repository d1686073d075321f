"""h2load's log and words as slices are made of them: its lines, its clock, its command, its sums."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bench.wire.load import Expect, LoadSpec, Rotate
from loadgen.onhost.engine.load import EngineError
from loadgen.onhost.h2load.log import UNSEEN, LogError, LoggedRequest, RequestLog
from loadgen.onhost.h2load.program import (
    Share,
    arguments_of,
    body_bytes_of,
    check_load_for_h2load,
    speaks,
)
from loadgen.onhost.h2load.summary import LoggedRun, OwnSums, differences, parse_summary, protocol_of

SECOND = 1_000_000_000
# The time of day is 2026 and our monotonic clock has run for an hour.
HOUR = 3_600 * SECOND
LEAD = 1_795_837_100 * SECOND - HOUR


def line(sent_ms: float, status: int, took_us: int) -> bytes:
    """Sent so many ms after the hour."""
    return f"{(HOUR + LEAD) // 1_000 + round(sent_ms * 1_000)}\t{status}\t{took_us}\n".encode()


def at(ms: float) -> int:
    return HOUR + round(ms * 1_000_000)


# ---------------------------------------------------------------- the log


def test_a_line_is_placed_at_its_end_on_the_monotonic_clock() -> None:
    log = RequestLog()
    found = log.feed(line(2, 200, 1_500), since=at(0), now=at(20), wall_lead=LEAD)
    assert found == [LoggedRequest(at(3.5), 1_500_000, 200)]
    assert log.lines == 1


def test_a_line_that_is_cut_counts_once_it_is_whole() -> None:
    log = RequestLog()
    whole = line(1, 200, 700) + line(2, 200, 900)
    for cut in range(len(whole)):
        log = RequestLog()
        first = log.feed(whole[:cut], since=at(0), now=at(5), wall_lead=LEAD)
        second = log.feed(whole[cut:], since=at(0), now=at(5), wall_lead=LEAD)
        assert [one.took for one in (*first, *second)] == [700_000, 900_000]
        log.end()


def test_a_log_that_ends_within_a_line_is_told() -> None:
    log = RequestLog()
    assert log.feed(line(1, 200, 700) + b"1795837100", since=at(0), now=at(5), wall_lead=LEAD)
    with pytest.raises(LogError, match="ends within a line"):
        log.end()


@pytest.mark.parametrize("damaged", [b"a\tb\tc\n", b"1\t2\n", b"\n", b"1 2 3\n"])
def test_a_line_of_another_form_is_told(damaged: bytes) -> None:
    with pytest.raises(LogError, match="can't be read"):
        RequestLog().feed(damaged, since=at(0), now=at(5), wall_lead=LEAD)


def test_more_columns_are_passed_over() -> None:
    more = line(1, 200, 700).replace(b"\n", b"\t17\n")
    assert RequestLog().feed(more, since=at(0), now=at(5), wall_lead=LEAD)[0].took == 700_000


@pytest.mark.parametrize("set_by_seconds", [-3_600, -1, 1, 86_400])
def test_a_time_of_day_that_was_set_moves_no_line_past_the_looks_around_it(set_by_seconds: int) -> None:
    """The request was sent before somebody set the time of day, and the log is read after."""
    found = RequestLog().feed(
        line(2, 200, 1_500), since=at(0), now=at(20), wall_lead=LEAD + set_by_seconds * SECOND
    )
    assert at(0) <= found[0].at <= at(20)
    assert found[0].took == 1_500_000


def test_a_host_whose_time_of_day_is_far_off_has_its_lines_where_they_were() -> None:
    """What the time of day leads by is read on the same host, whatever it leads by."""
    off = 40 * 365 * 86_400 * SECOND
    sent = f"{(HOUR + LEAD + off) // 1_000 + 2_000}\t200\t1500\n".encode()
    found = RequestLog().feed(sent, since=at(0), now=at(20), wall_lead=LEAD + off)
    assert found[0].at == at(3.5)


def test_requests_come_in_the_order_of_their_ends() -> None:
    data = line(0, 200, 9_000) + line(1, 200, 2_000) + line(2, -1, 3_000)
    found = RequestLog().feed(data, since=at(0), now=at(20), wall_lead=LEAD)
    assert [one.at for one in found] == [at(3), at(5), at(9)]
    assert [one.status for one in found] == [200, None, 200]


# ---------------------------------------------------------------- its sums

WORDS = """starting benchmark...
Application protocol: h2c
Main benchmark duration is over for thread #0. Stopping all clients.

finished in 301.54ms, 560.00 req/s, 65.08KB/s
requests: 168 total, 171 started, 168 done, 160 succeeded, 8 failed, 3 errored, 1 timeout
status codes: 160 2xx, 0 3xx, 0 4xx, 5 5xx
traffic: 19.52KB (19992) total, 11.16KB (11424) headers (space savings 93.10%), 3.61KB (3696) data
                     min         max         mean         sd        +/- sd
"""


def test_its_last_words_are_read() -> None:
    assert parse_summary(WORDS) == OwnSums(168, 160, 3, 1, 19_992, 11_424, 3_696)
    assert protocol_of(WORDS) == "h2c"


def test_an_h2load_that_was_ended_has_no_sums() -> None:
    assert parse_summary(WORDS[: WORDS.index("traffic")]) is None
    assert protocol_of("starting benchmark...\n") is None


def right(lines: int, body_bytes: int | None = 22, **changes: Any) -> LoggedRun:
    run = LoggedRun(lines=lines, right=lines, unseen=0, failed=0, in_flight_most=10, body_bytes=body_bytes)
    return dataclasses.replace(run, **changes)


def sums(done: int, body_bytes: int, errored: int = 0, timed_out: int = 0) -> OwnSums:
    return OwnSums(done, done - errored, errored, timed_out, 0, 0, body_bytes)


def test_a_run_whose_sums_fit_its_log_is_clean() -> None:
    assert list(differences(sums(100, 2_200), right(100))) == []
    # Answers that were under way when it stopped to count requests.
    assert list(differences(sums(100, 2_200 + 3 * 22), right(100))) == []
    long = right(100, 430_000)
    assert list(differences(sums(100, 43_000_000 + 12_345), long)) == []


@pytest.mark.parametrize(
    ("of_h2load", "of_log", "says"),
    [
        (sums(100, 2_200), right(99), "counted 100 requests and logged 99"),
        (sums(100, 2_199), right(100), "2199 bytes in all, and right ones have 2200"),
        (sums(100, 2_200 + 11 * 22), right(100), "right ones have 2200"),
        (sums(100, 2_200 + 21), right(100), "right ones have 2200"),
        (sums(100, 2_200, errored=3), right(100), "lost 3 requests with their connections: "),
        (sums(100, 2_200, errored=3, timed_out=2), right(100), "2 of them after a silence"),
        (sums(100, 0), right(100, None, right=0, unseen=100), "did not see the status of 100"),
    ],
)
def test_what_does_not_fit_is_told(of_h2load: OwnSums, of_log: LoggedRun, says: str) -> None:
    (found,) = differences(of_h2load, of_log)
    assert says in found


def test_a_single_wrong_body_among_thousands_is_seen_in_the_sum() -> None:
    """A 500's "Internal Server Error" is a byte shorter than the right body."""
    assert list(differences(sums(50_000, 50_000 * 22 - 1), right(50_000, right=0, unseen=50_000)))


# ---------------------------------------------------------------- its command


def load(**changes: Any) -> LoadSpec:
    basis = LoadSpec(host="198.18.0.10", port=8000, path="/api/shortbody", epoch=0.0)
    return dataclasses.replace(basis, headers={"User-Agent": "asgibench", "Host": "no"}, **changes)


def words(index: int = 0, **changes: Any) -> list[str]:
    return arguments_of(load(**changes), Share(index, 2, 25, 8.05), log="/dev/fd/7", data=None)


def test_the_command_of_http_1() -> None:
    assert words() == [
        "--threads=1",
        "--clients=25",
        "--max-concurrent-streams=1",
        "--duration=8050ms",
        "--connection-inactivity-timeout=10000ms",
        "--log-file=/dev/fd/7",
        "--h1",
        "--header=User-Agent: asgibench",
        "http://198.18.0.10:8000/api/shortbody",
    ]


def test_http_2_is_by_prior_knowledge_or_by_alpn_alone() -> None:
    assert "--no-tls-proto=h2c" in words(protocol="h2")
    tls = words(protocol="h2", tls=True)
    assert "--npn-list=h2" in tls and tls[-1].startswith("https://")
    assert speaks(load(protocol="h2"), "h2c") and speaks(load(protocol="h2"), "h2")
    assert not speaks(load(protocol="h2"), "http/1.1")


def test_a_name_that_is_not_the_address_goes_into_the_request_and_into_tls() -> None:
    found = words(tls=True, server_name="asgi.example", host="fd00::1")
    assert "--connect-to=[fd00::1]:8000" in found and "--sni=asgi.example" in found
    assert found[-1] == "https://asgi.example:8000/api/shortbody"


def test_each_load_worker_has_one_of_the_rotating_values() -> None:
    rotate = Rotate("Authorization", ("a", "b", "c", "d"), prefix="Bearer ")
    changes = {"rotate": rotate, "expect": Expect(lengths=(10, 20, 30, 40))}
    assert "--header=Authorization: Bearer a" in words(0, **changes)
    assert "--header=Authorization: Bearer c" in words(1, **changes)
    assert [body_bytes_of(load(**changes), index, 2) for index in (0, 1)] == [10, 30]


def test_the_length_of_a_right_body_is_known_where_it_is_told() -> None:
    assert body_bytes_of(load(expect=Expect(length=22)), 0, 1) == 22
    assert body_bytes_of(load(expect=Expect(lengths=(7,))), 1, 2) == 7
    assert body_bytes_of(load(), 0, 1) is None


def test_a_body_is_posted_from_a_file_and_other_methods_are_named() -> None:
    posted = arguments_of(load(method="POST", body="eA=="), Share(0, 1, 1, 1), log="/l", data="/b")
    assert "--data=/b" in posted
    assert "--header=:method: DELETE" in words(method="DELETE")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mode": "open", "rate_per_second": 5.0}, "keeps no rate"),
        ({"keep_alive": False}, "keeps its connections"),
        ({"protocol": "h3"}, "doesn't speak h3"),
        ({"method": "POST"}, "with a body only"),
        ({"method": "PUT", "body": "eA=="}, "with POST only"),
    ],
)
def test_what_h2load_can_not_do_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(EngineError, match=says):
        check_load_for_h2load(load(**changes))


def test_what_it_can_is_not() -> None:
    for changes in ({}, {"protocol": "h2"}, {"method": "POST", "body": "eA=="}, {"method": "HEAD"}):
        check_load_for_h2load(load(**changes))


def test_an_answer_whose_status_was_not_seen_is_no_failure_yet() -> None:
    found = RequestLog().feed(line(1, 0, 700), since=at(0), now=at(5), wall_lead=LEAD)
    assert found[0].status == UNSEEN
