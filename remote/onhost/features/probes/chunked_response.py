"""An answer without a length: its body comes in chunks."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder, Step
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.connection import open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.witness import script, story

START = Step(
    "send", {"type": "http.response.start", "status": 200, "headers": [["content-type", "text/plain"]]}
)
PARTS = (
    Step("send", {"type": "http.response.body", "body": "abc", "more_body": True}),
    Step("send", {"type": "http.response.body", "body": "defg", "more_body": True}),
    Step("send", {"type": "http.response.body", "body": ""}),
)


WITH_LENGTH = [["content-type", "text/plain"], ["content-length", "7"]]


def probe(order: ProbeOrder) -> Found:
    asked = script(START, *PARTS)
    with open_connection(order) as wire:
        wire.send(request(order, asked))
        (got,) = read_answers(wire)
    known = script(
        Step("send", {"type": "http.response.start", "status": 200, "headers": WITH_LENGTH}), *PARTS
    )
    with open_connection(order) as control:
        control.send(request(order, known))
        (whole,) = read_answers(control)
    old = script(START, *PARTS)
    with open_connection(order) as other:
        # RFC 9112, 6.1: no Transfer-Encoding in an answer to a client of HTTP/1.0.
        other.send(request(order, old, version="HTTP/1.0"))
        other.read_until(lambda received: b"defg" in received, 1.0)
        other.read_for()
    evidence = (
        *wire.evidence(),
        story(order, asked).exhibit(),
        *control.evidence("control, with its length"),
        *other.evidence("a client of HTTP/1.0"),
    )
    if got.header("transfer-encoding") != "chunked":
        return absent(f"the answer has no chunks: {dict(got.headers)}", *evidence)
    if got.body != b"abcdefg":
        return absent(f"the chunks hold {got.body!r}", *evidence)
    if whole.header("transfer-encoding") or whole.body != b"abcdefg":
        return broken("the control fails: an answer with its length comes in chunks", *evidence)
    to_old = "a client of HTTP/1.0 gets none"
    if b"transfer-encoding" in other.received.lower():
        to_old = "so it does to a client of HTTP/1.0, against RFC 9112, 6.1"
    return works(f"an answer of three messages without a length comes in chunks; {to_old}", *evidence)


FEATURE = Feature("chunked-response", "Answer in chunks", "RFC 9112, 7.1", ("plain",), probe)
