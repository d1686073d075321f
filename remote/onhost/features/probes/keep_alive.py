"""HTTP/1.1 keep-alive: two requests one after the other on one connection."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.connection import NotAnswered, open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.witness import answer, script, story


def probe(order: ProbeOrder) -> Found:
    first, second = script(*answer("one")), script(*answer("two"))
    with open_connection(order) as wire:
        wire.send(request(order, first))
        read_answers(wire)
        begin = len(wire.received)
        wire.send(request(order, second))
        try:
            (again,) = read_answers(wire, begin=begin)
        except NotAnswered as error:
            return absent(f"a second request on the connection is not answered: {error}", *wire.evidence())
    seen = story(order, first), story(order, second)
    control, late = script(*answer("one")), script(*answer("two"))
    with open_connection(order) as other:
        other.send(request(order, control, ("Connection", "close")))
        read_answers(other)
        begin = len(other.received)
        other.send(request(order, late))
        other.read_for()
    evidence = (
        *wire.evidence(),
        seen[0].exhibit("the app saw of the first"),
        seen[1].exhibit("the app saw of the second"),
        *other.evidence("control, Connection: close"),
    )
    if len(other.received) > begin or story(order, late, seconds=0.1).reached:
        return broken("the control fails: after Connection: close another request was answered", *evidence)
    if again.body != b"two" or not all(one.reached for one in seen):
        return absent("the second answer is not the app's", *evidence)
    if seen[0].scope.get("client") != seen[1].scope.get("client"):
        return absent("the app saw another client in the second request", *evidence)
    return works("two requests on one connection, and one alone with Connection: close", *evidence)


FEATURE = Feature("keep-alive", "HTTP/1.1 keep-alive", "RFC 9112, 9.3", ("plain",), probe)
