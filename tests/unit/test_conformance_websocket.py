"""What Autobahn's verdicts amount to."""

from __future__ import annotations

import pytest

from bench.wire.conformance import ConformanceFinding
from remote.onhost.conformance.websocket.judge import CaseOutcome, case_finding, subject_of_case


def found(messages: str, closing: str, number: str = "7.1.5") -> ConformanceFinding:
    return case_finding(
        CaseOutcome(
            number,
            "Send\n  a ping.",
            messages,
            closing,
            "events differ.",
            "wrong code.",
            b"\x89\x80",
            b"\x8a\x00",
            "[]",
        )
    )


@pytest.mark.parametrize(
    ("messages", "closing", "judgement"),
    [
        ("OK", "OK", "conforms"),
        ("NON-STRICT", "OK", "allowed"),
        ("INFORMATIONAL", "INFORMATIONAL", "allowed"),
        ("UNIMPLEMENTED", "OK", "allowed"),
        ("OK", "UNCLEAN", "weak"),
        ("OK", "WRONG CODE", "violates"),
        ("OK", "FAILED BY CLIENT", "violates"),
        ("FAILED", "OK", "violates"),
        ("ERROR", "OK", "untested"),
    ],
)
def test_the_worse_of_both_verdicts_counts(messages: str, closing: str, judgement: str) -> None:
    assert found(messages, closing).judgement == judgement


def test_a_finding_says_which_verdict_it_rests_on_and_has_the_bytes() -> None:
    assert found("OK", "WRONG CODE").why == "Autobahn: WRONG CODE: wrong code"
    one = found("FAILED", "WRONG CODE")
    assert one.why == "Autobahn: FAILED: events differ"
    assert (one.title, one.sent, one.received) == ("Send a ping", r"\x89\x80", r"\x8a\x00")


def test_every_case_has_its_section() -> None:
    assert subject_of_case("1.1.1") == ("Framing", "RFC 6455 §5.6")
    assert subject_of_case("7.5.1")[1] == "RFC 6455 §8.1"
    assert subject_of_case("7.13.2")[0] == "Close codes"
    assert subject_of_case("13.1.1")[1] == "RFC 7692 §7"
    with pytest.raises(KeyError):
        subject_of_case("99.1")
