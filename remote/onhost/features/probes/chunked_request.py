"""A request body in chunks."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder, Step
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.connection import NotAnswered, open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.witness import answer, script, story

CHUNKED = ("Transfer-Encoding", "chunked")


def probe(order: ProbeOrder) -> Found:
    asked = script(Step("drain"), *answer())
    with open_connection(order) as wire:
        body = b"3\r\nabc\r\n4;note=x\r\ndefg\r\n0\r\n\r\n"
        wire.send(request(order, asked, CHUNKED, method="POST", body=body))
        try:
            (got,) = read_answers(wire, "POST")
        except NotAnswered as error:
            return absent(f"it is not answered: {error}", *wire.evidence())
    wrong = script(Step("drain"), *answer())
    with open_connection(order) as other:
        other.send(request(order, wrong, CHUNKED, method="POST", body=b"zz\r\nabc\r\n0\r\n\r\n"))
        other.read_for()
    saw, control = story(order, asked), story(order, wrong, seconds=0.2)
    evidence = (
        *wire.evidence(),
        saw.exhibit(),
        *other.evidence("control, a size that is no number"),
        control.exhibit("control: the app saw"),
    )
    if any(not one.get("more_body") for one in control.received("http.request")):
        return broken("the control fails: the app reads a whole body where a size is no number", *evidence)
    if got.status != 200 or saw.body != "abcdefg":
        return absent(f"status {got.status}, and the app read {saw.body!r}", *evidence)
    return works("the app read the chunks’ content, and no whole body where a size is no number", *evidence)


FEATURE = Feature("chunked-request", "Request body in chunks", "RFC 9112, 7.1", ("plain",), probe)
