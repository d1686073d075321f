"""HTTP/1.1 pipelining: two requests in one piece, answered in their order."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.connection import NotAnswered, open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.witness import answer, script, story


def probe(order: ProbeOrder) -> Found:
    first, second = script(*answer("one")), script(*answer("two"))
    with open_connection(order) as wire:
        wire.send(request(order, first) + request(order, second))
        try:
            one, two = read_answers(wire, "GET", "GET")
        except NotAnswered as error:
            return absent(f"two requests in one piece are not both answered: {error}", *wire.evidence())
    # Not with Connection: close in the first: what comes behind that ends a worker of hypercorn 0.16 on trio.
    alone = script(*answer("one"))
    with open_connection(order) as other:
        other.send(request(order, alone))
        read_answers(other)
        other.read_for()
    evidence = (
        *wire.evidence(),
        story(order, first).exhibit("the app saw of the first"),
        story(order, second).exhibit("the app saw of the second"),
        *other.evidence("control, one request alone"),
    )
    if other.received.count(b"HTTP/1.1 200") != 1:
        return broken("the control fails: one request has not one answer", *evidence)
    if (one.body, two.body) != (b"one", b"two"):
        return absent(f"the answers are {one.body!r} and {two.body!r}", *evidence)
    return works("two requests in one piece, answered in order", *evidence)


FEATURE = Feature("pipelining", "HTTP/1.1 pipelining", "RFC 9112, 9.3.2", ("plain",), probe)
