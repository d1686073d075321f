"""The HTTP/1.1 probes against servers: those that are measured, and two that are wrong on purpose."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.wire.conformance import ConformanceFinding
from remote.onhost.conformance.http1.rows import probes
from remote.onhost.conformance.http1.run import run
from tests.helpers.conformance import order_to
from tests.helpers.lenient_server import LENIENT, REFUSES, lenient_server

# Of each subject, what only a server that is wrong does: the lenient one does all of it.
CAUGHT = {
    "Request line": ("line-space-in-target", "method-not-token", "target-asterisk-get", "target-absolute"),
    "Versions": ("version-9.9", "version-no-minor", "version-0.9", "version-1.0", "version-1.0-chunked"),
    "Host": ("host-missing", "host-twice", "host-userinfo", "host-bad-port"),
    "Header fields": ("field-space-before-colon", "field-name-bracket", "fold-space", "field-value-nul"),
    "Line ends": ("cr-line", "cr-field", "cr-all"),
    "Content-Length": (
        "length-plus",
        "length-underscore",
        "length-arabic",
        "length-twice-request",
        "length-huge",
    ),
    "Transfer-Encoding": ("coding-suffix", "coding-identity", "both-zero", "both-length-short"),
    "Chunks": ("chunk-0x", "chunk-plus", "chunk-underscore", "chunk-overflow-64", "trailer-host"),
    "Connections": ("close", "close-in-list", "close-and-more", "expect-1.0", "upgrade-post"),
    "Answers": ("answer-head", "answer-204", "answer-too-long", "answer-split", "answer-date"),
}


def found_on(port: int) -> dict[str, ConformanceFinding]:
    report = run(order_to(port))
    assert report.problem == ""
    assert {one.probe for one in report.findings} == set(probes())
    return {one.probe: one for one in report.findings}


@pytest.fixture(scope="module")
def lenient() -> dict[str, ConformanceFinding]:
    with lenient_server(LENIENT) as port:
        return found_on(port)


@pytest.mark.parametrize("subject", CAUGHT)
def test_probes_of_every_subject_catch_a_server_that_is_wrong(
    subject: str, lenient: dict[str, ConformanceFinding]
) -> None:
    assert set(CAUGHT) == {one.subject for one in lenient.values()}
    for name in CAUGHT[subject]:
        assert lenient[name].subject == subject
        assert lenient[name].judgement in ("violates", "weak"), lenient[name]
        assert lenient[name].sent
        assert lenient[name].received


def test_what_a_lenient_server_does_right_is_told_apart(lenient: dict[str, ConformanceFinding]) -> None:
    counted = Counter(one.judgement for one in lenient.values())
    assert min(counted[one] for one in ("conforms", "allowed", "weak", "violates")) > 15, counted
    assert lenient["length-plain"].judgement == lenient["chunk-two"].judgement == "conforms"


def test_a_connection_that_stays_open_is_told_from_one_that_was_closed(
    lenient: dict[str, ConformanceFinding],
) -> None:
    assert lenient["version-1.0"].why == "it keeps the connection open"
    assert lenient["close"].why == "it keeps the connection open"
    assert lenient["length-cut"].received.endswith("[closed]")


def test_a_server_that_refuses_everything_conforms_in_nothing() -> None:
    with lenient_server(REFUSES) as port:
        assert {one.judgement for one in found_on(port).values()} <= {"violates", "weak"}
