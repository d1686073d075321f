"""The HTTP/1.1 probes: what an outcome is worth, and the rows themselves."""

from __future__ import annotations

import re

import pytest

from bench.wire.conformance import RequestSeen, shown
from remote.onhost.conformance.http1.answers import answers_in
from remote.onhost.conformance.http1.judge import finding_of, judged
from remote.onhost.conformance.http1.probe import Http1Probe, ProbeOutcome
from remote.onhost.conformance.http1.rows import probes, subjects

PROBES = probes()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
AFTER = "/after"


def seen(
    path: str = "/first", method: str = "GET", body: str = "", *, whole: bool = True, **fields: str
) -> RequestSeen:
    headers = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    return RequestSeen(method, path, "", "1.1", headers, body, whole, False)


def outcome(
    received: bytes, *requests: RequestSeen, end: str = "closed", before: bytes = b""
) -> ProbeOutcome:
    return ProbeOutcome(received, answers_in(received), end, requests, (before,))


def judgement(name: str, received: bytes, *requests: RequestSeen, end: str = "closed") -> str:
    return judged(PROBES[name], outcome(received, *requests, end=end))[0]


def test_there_are_more_than_a_hundred_and_each_has_a_name_of_its_own() -> None:
    assert len(PROBES) == sum(len(subject.probes) for subject in subjects()) > 250
    assert len({probe.steps for probe in PROBES.values()}) > len(PROBES) - 4


@pytest.mark.parametrize("probe", PROBES.values(), ids=lambda probe: probe.name)
def test_a_row_names_its_rule_and_a_twin_that_is_valid(probe: Http1Probe) -> None:
    assert re.fullmatch(r"RFC \d{4} §\d+(\.\d+)*", probe.rule)
    assert probe.title
    assert not probe.title.endswith(".")
    twin = PROBES[probe.twin]
    assert twin.readings[0].judgement == "conforms"
    assert twin.refused == ("violates" if twin.level == "MUST" else "weak")


def test_a_length_with_a_plus_sign_must_be_refused_with_400_and_the_connection_closed() -> None:
    posted = seen(method="POST", body="hello")
    assert judgement("length-plus", BAD) == "conforms"
    assert judgement("length-plus", BAD + OK, seen(AFTER)) == "violates"
    assert judgement("length-plus", b"HTTP/1.1 501 No\r\n\r\n") == "violates"
    assert judgement("length-plus", b"") == "violates"
    assert judgement("length-plus", b"", end="open") == "violates"
    assert judgement("length-plus", OK + OK, posted, seen(AFTER)) == "violates"


def test_what_ought_to_be_refused_is_weak_where_it_is_served() -> None:
    assert judgement("target-fragment", BAD) == "conforms"
    assert judgement("target-fragment", OK + OK, seen(), seen(AFTER)) == "weak"
    assert judgement("target-fragment", b"") == "weak"
    assert judgement("target-fragment", b"HTTP/1.1 500 Oh\r\n\r\n") == "weak"


def test_a_choice_is_no_fault() -> None:
    assert judgement("lf-line", BAD) == "conforms"
    assert judgement("lf-line", OK + OK, seen(), seen(AFTER)) == "allowed"
    assert judgement("lf-line", OK + OK, seen("/first\nHost"), seen(AFTER)) == "violates"


def test_a_request_within_a_body_is_smuggled_whatever_else_was_answered() -> None:
    for name in ("both-length-first", "length-get-request", "unread-large"):
        assert judgement(name, BAD, seen("/smuggled", whole=False)) == "violates"


def test_with_length_and_coding_it_may_go_by_the_coding_but_must_close() -> None:
    posted = seen(method="POST", body="hello")
    assert judgement("both-alike", BAD) == "conforms"
    assert judgement("both-alike", OK, posted) == "conforms"
    assert judgement("both-alike", OK, posted, end="open") == "violates"
    assert judgement("both-alike", OK + OK, posted, seen(AFTER)) == "violates"
    raw = seen(method="POST", body="5\r\nhello\r\n0\r\n\r\n")
    assert judgement("both-alike", OK, raw) == "violates"


def test_what_is_valid_must_be_served_as_it_was_sent() -> None:
    assert judgement("length-plain", OK + OK, seen(method="POST", body="hello"), seen(AFTER)) == "conforms"
    assert judgement("length-plain", OK, seen(method="POST", body="hello")) == "weak"
    assert judgement("length-plain", OK, seen(method="POST", body="hello"), end="open") == "violates"
    assert judgement("length-plain", OK + OK, seen(method="POST", body="hell"), seen(AFTER)) == "violates"
    assert judgement("length-plain", BAD) == "violates"
    assert judgement("length-plain", BAD, seen(method="POST", body="hello")) == "violates"


def test_a_field_value_must_arrive_as_the_rule_has_it() -> None:
    assert judgement("fold-space", OK + OK, seen(x_test="a b"), seen(AFTER)) == "conforms"
    assert judgement("fold-space", OK + OK, seen(x_test="a\r\n b"), seen(AFTER)) == "violates"
    assert judgement("fold-first", OK + OK, seen(), seen(AFTER)) == "conforms"
    assert judgement("fold-first", OK + OK, seen(x_test="1"), seen(AFTER)) == "violates"


def test_a_body_that_was_cut_off_is_not_whole() -> None:
    assert judgement("length-cut", b"", seen(method="POST", body="hello", whole=False)) == "conforms"
    assert judgement("length-cut", OK, seen(method="POST", body="hello")) == "violates"
    assert judgement("chunk-no-last", OK, seen(method="POST", body="hello", whole=False)) == "violates"


def test_a_body_must_be_waited_for() -> None:
    probe = PROBES["length-late"]
    whole = (seen(method="POST", body="hellohello"), seen(AFTER))
    assert judged(probe, outcome(OK + OK, *whole))[0] == "conforms"
    assert judged(probe, outcome(OK + OK, *whole, before=OK))[0] == "violates"


def test_a_size_that_overflows_must_not_become_another_one() -> None:
    assert judgement("chunk-overflow-64", OK, seen(method="POST", body="hello")) == "violates"
    assert judgement("chunk-overflow-64", b"", end="open") == "conforms"


def test_answers_without_a_body_have_none() -> None:
    head = PROBES["answer-head"]
    length = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"

    def of(received: bytes) -> str:
        answers = answers_in(received, bodiless=frozenset({0}))
        return judged(head, ProbeOutcome(received, answers, "closed", (seen(method="HEAD"), seen(AFTER))))[0]

    assert of(length + OK) == "conforms"
    assert of(OK + OK) == "violates"
    assert judgement("answer-204", b"HTTP/1.1 204 No\r\n\r\n" + OK) == "conforms"
    assert judgement("answer-204", b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n" + OK) == "violates"
    assert judgement("answer-204-with-body", b"HTTP/1.1 204 No\r\n\r\nbody" + OK) == "violates"


def test_a_date_is_there_and_of_the_one_form() -> None:
    def dated(date: bytes) -> str:
        return judgement("answer-date", b"HTTP/1.1 200 OK\r\n" + date + b"Content-Length: 0\r\n\r\n", seen())

    assert dated(b"Date: Sat, 28 Nov 2026 03:39:54 GMT\r\n") == "conforms"
    assert dated(b"Date: 2026-11-28T03:39:54Z\r\n") == "violates"
    assert dated(b"") == "violates"


def test_a_refusal_counts_only_where_the_valid_twin_is_served() -> None:
    probe, refused = PROBES["length-plus"], outcome(BAD)
    good = finding_of(probe, "Content-Length", refused, ("conforms", "it is served"), probe.sent)
    bad = finding_of(probe, "Content-Length", refused, ("violates", "it refuses with 400"), probe.sent)
    assert (good.judgement, bad.judgement) == ("conforms", "violates")
    assert "valid twin length-plain" in bad.why


def test_answers_are_cut_where_they_end() -> None:
    found = answers_in(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + BAD + b"rest")
    assert found.statuses == (200, 400)
    assert found.finals[0].interim == (100,)
    assert found.finals[0].body == b"ok"
    assert found.rest == b"rest"
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Test: 1\r\n\r\n"
    assert answers_in(chunks + OK).statuses == (200, 200)
    assert not answers_in(chunks[:-2]).finals[0].is_whole
    assert not answers_in(OK[:-1]).finals[0].is_whole
    assert answers_in(OK[:20]).finals == ()


def test_evidence_can_be_read_back_into_bytes() -> None:
    sent = b"GET /\x00\xff HTTP/1.1\r\n"
    assert shown(sent).encode().decode("unicode_escape").encode("latin-1") == sent
    assert shown(b"a" * 500).endswith("… (and 100 bytes)")
