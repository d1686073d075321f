"""100 Continue: a client that waits for it before it sends its body."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder, Step
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.connection import QUIET_SECONDS, NotAnswered, RecordedConnection, open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.witness import answer, script, story

LENGTH = ("Content-Length", "5")
EXPECT = ("Expect", "100-continue")
WAIT_SECONDS = 1.0


def is_continued(wire: RecordedConnection, seconds: float = WAIT_SECONDS) -> bool:
    return wire.read_until(lambda received: received.startswith(b"HTTP/1.1 100"), seconds)


def probe(order: ProbeOrder) -> Found:
    reads = script(Step("drain"), *answer("read"))
    with open_connection(order) as wire:
        wire.send(request(order, reads, EXPECT, LENGTH, method="POST"))
        continued = is_continued(wire)
        wire.send(b"12345")
        try:
            (last,) = read_answers(wire, "POST")
        except NotAnswered as error:
            return absent(f"the request is not answered: {error}", *wire.evidence())
    ignores = script(*answer("refused", status=413))
    with open_connection(order) as early:
        early.send(request(order, ignores, EXPECT, LENGTH, method="POST"))
        at_once = is_continued(early, QUIET_SECONDS)
    with open_connection(order) as control:
        control.send(request(order, script(Step("drain"), *answer("read")), LENGTH, method="POST"))
        unasked = is_continued(control, QUIET_SECONDS)
    saw = story(order, reads)
    evidence = (
        *wire.evidence(),
        saw.exhibit(),
        *early.evidence("an app that does not read the body"),
        *control.evidence("control, without Expect"),
    )
    if unasked:
        return broken("the control fails: 100 comes without Expect", *evidence)
    if not continued:
        return absent("no 100 came before the body was sent", *evidence)
    if last.status != 200 or saw.body != "12345":
        return absent(f"100 came, and the body did not reach the app: {saw.body!r}", *evidence)
    when = "at once, whether the app reads the body or not" if at_once else "when the app asks for the body"
    return works(f"100 comes {when}", *evidence)


FEATURE = Feature("100-continue", "100 Continue", "RFC 9110, 10.1.1", ("plain",), probe)
