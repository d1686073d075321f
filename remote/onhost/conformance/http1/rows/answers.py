"""The server's own answers: their framing, bodies that must not be there, and fields that it adds."""

from __future__ import annotations

import re

from bench.wire.conformance import shown
from remote.onhost.conformance.http1.answers import Answer
from remote.onhost.conformance.http1.probe import Judged, ProbedSubject, ProbeOutcome, get, inspected

DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
    r"\d\d:\d\d:\d\d GMT"
)
FRAMING = "RFC 9112 §6.3"


def _first(outcome: ProbeOutcome) -> Answer | None:
    return outcome.answers.finals[0] if outcome.answers.finals else None


def _nothing(outcome: ProbeOutcome) -> Judged:
    return "violates", f"there is no answer: {shown(outcome.received, 60) or outcome.end}"


def _without_body(outcome: ProbeOutcome) -> Judged:
    """RFC 9110 §6.4.1: answers to HEAD, 204 and 304 have no content; what comes after them begins anew."""
    if _first(outcome) is None:
        return _nothing(outcome)
    if outcome.answers.rest:
        return "violates", f"bytes follow where no body may be: {shown(outcome.answers.rest, 40)}"
    if outcome.goes_on and len(outcome.answers.finals) == 2:
        return "conforms", "no body follows, and the next request is served"
    return "conforms", f"no body follows, and the connection is {outcome.end}"


def _no_length_in_204(outcome: ProbeOutcome) -> Judged:
    first = _first(outcome)
    if first is None:
        return _nothing(outcome)
    for name in ("content-length", "transfer-encoding"):
        if first.field(name) is not None:
            return "violates", f"its 204 has {name}: {first.field(name)}"
    return _without_body(outcome)


def _framed(outcome: ProbeOutcome) -> Judged:
    first = _first(outcome)
    if first is None:
        return _nothing(outcome)
    if first.body != b"onetwo":
        return "violates", f"the body arrives as {shown(first.body, 40)}"
    if "chunked" in (first.field("transfer-encoding") or ""):
        return (
            ("conforms", "it sends chunks") if first.is_whole else ("violates", "the last chunk is missing")
        )
    if first.field("content-length") == "6":
        return "conforms", "it adds the length"
    return (
        ("conforms", "it closes at the end") if outcome.end != "open" else ("violates", "the body has no end")
    )


def _framed_for_1_0(outcome: ProbeOutcome) -> Judged:
    first = _first(outcome)
    if first is not None and first.field("transfer-encoding") is not None:
        return "violates", "it sends Transfer-Encoding to a client of HTTP/1.0"
    return _framed(outcome)


def _dated(outcome: ProbeOutcome) -> Judged:
    """RFC 9110 §6.6.1: an origin server with a clock MUST send Date in 2xx, 3xx and 4xx."""
    first = _first(outcome)
    if first is None:
        return _nothing(outcome)
    date = first.field("date")
    if date is None:
        return "violates", f"its {first.status} has no Date"
    if DATE.fullmatch(date) is None:
        return "violates", f"its Date is {date!r}"
    return "conforms", f"its {first.status} has a Date"


def _dated_refusal(outcome: ProbeOutcome) -> Judged:
    first = _first(outcome)
    if first is None or first.status < 400:
        return "allowed", "it sends no refusal that could have one"
    return _dated(outcome)


def _not_split(outcome: ProbeOutcome) -> Judged:
    first = _first(outcome)
    if b"\r\nX-Two:" in outcome.received or b"\r\nx-two:" in outcome.received.lower():
        return "violates", "the value’s line end goes out, and what follows it is a field of its own"
    if first is None:
        return "conforms", f"it sends nothing, and the connection is {outcome.end}"
    return "conforms", f"it doesn’t send the value, and answers with {first.status}"


def _short(outcome: ProbeOutcome) -> Judged:
    """Fewer bytes than Content-Length says: the connection must not be used for another answer."""
    if len(outcome.complete) > 1:
        return "violates", "it sends the next answer where the rest of the body is due"
    if outcome.end == "open":
        return "violates", "it leaves the client waiting for the rest on an open connection"
    return "conforms", "it closes the connection"


def _long(outcome: ProbeOutcome) -> Judged:
    """More bytes than Content-Length says must not go out: a client reads them as the next answer."""
    if b"and more" in outcome.received:
        return "violates", "the bytes beyond the length go out"
    return "conforms", f"they don’t go out; answered with {outcome.answers.statuses}"


def _asked(path: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    """Nothing may follow with HTTP/1.0, after which the connection ends."""
    line = f"{method} {path} {version}".encode()
    return get(line=line) if version == "HTTP/1.1" else get(line=line, after=b"")


SUBJECT = ProbedSubject(
    "Answers",
    100,
    (
        inspected(
            "answer-head",
            "HEAD, where the app sends a body",
            "RFC 9110 §9.3.2",
            "MUST",
            _asked("/first", "HEAD"),
            _without_body,
            answers_head=True,
        ),
        inspected(
            "answer-head-without-length",
            "HEAD, where the app sends a body without a length",
            "RFC 9110 §9.3.2",
            "MUST",
            _asked("/answer/without-length", "HEAD"),
            _without_body,
            answers_head=True,
        ),
        inspected(
            "answer-204",
            "a 204 of the app, which must have no length",
            "RFC 9110 §8.6",
            "MUST",
            _asked("/answer/204"),
            _no_length_in_204,
        ),
        inspected(
            "answer-204-with-body",
            "a 204 for which the app sends a body",
            "RFC 9110 §15.3.5",
            "MUST",
            _asked("/answer/204-with-body"),
            _without_body,
        ),
        inspected(
            "answer-304-with-body",
            "a 304 for which the app sends a body",
            "RFC 9110 §15.4.5",
            "MUST",
            _asked("/answer/304-with-body"),
            _without_body,
        ),
        inspected(
            "answer-without-length",
            "an answer for which the app gives no length",
            FRAMING,
            "MUST",
            _asked("/answer/without-length"),
            _framed,
        ),
        inspected(
            "answer-without-length-1.0",
            "the same to a client of HTTP/1.0",
            "RFC 9112 §6.1",
            "MUST",
            _asked("/answer/without-length", version="HTTP/1.0"),
            _framed_for_1_0,
        ),
        inspected(
            "answer-too-short",
            "an answer that ends before its length",
            "RFC 9110 §8.6",
            "MUST",
            _asked("/answer/too-short"),
            _short,
        ),
        inspected(
            "answer-too-long",
            "an answer that goes on beyond its length",
            "RFC 9110 §8.6",
            "MUST",
            _asked("/answer/too-long"),
            _long,
        ),
        inspected(
            "answer-split",
            "a value of the app with a line end in it",
            "RFC 9110 §5.5",
            "MUST",
            _asked("/answer/split"),
            _not_split,
        ),
        inspected(
            "answer-date", "the Date of an answer", "RFC 9110 §6.6.1", "MUST", _asked("/first"), _dated
        ),
        inspected(
            "answer-date-refusal",
            "the Date of a refusal",
            "RFC 9110 §6.6.1",
            "MUST",
            get(b"Bad Name: 1\r\n"),
            _dated_refusal,
        ),
    ),
)
