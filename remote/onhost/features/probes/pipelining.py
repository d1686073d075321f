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
    last, ignored = script(*answer("one")), script(*answer("two"))
    with open_connection(order) as other:
        other.send(request(order, last, ("Connection", "close")) + request(order, ignored))
        read_answers(other)
        other.read_for()
    evidence = (
        *wire.evidence(),
        story(order, first).evidence("the app saw of the first"),
        story(order, second).evidence("the app saw of the second"),
        *other.evidence("control, the first says Connection: close"),
    )
    if b"two" in other.received.partition(b"one")[2]:
        # RFC 9112, 9.6: a server that has got the close option does not process further requests.
        return broken("the control fails: a request behind Connection: close is answered", *evidence)
    if (one.body, two.body) != (b"one", b"two"):
        return absent(f"the answers are {one.body!r} and {two.body!r}", *evidence)
    return works("two requests in one piece, answered in order", *evidence)


FEATURE = Feature("pipelining", "HTTP/1.1 pipelining", "RFC 9112, 9.3.2", ("plain",), probe)
