"""The lifespan's state: each request's scope has what was set at the start, in a copy of its own."""

from __future__ import annotations

from bench.wire.proving import STATE_KEY, ProbeOrder, Step
from remote.onhost.features.probe import Feature, Found, absent, advertised, works
from remote.onhost.proving.connection import open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.witness import answer, script, story

OWN = "of-one-request"


def probe(order: ProbeOrder) -> Found:
    first = script(Step("remember", {OWN: "x"}), *answer())
    second = script(*answer())
    for one in (first, second):
        with open_connection(order) as wire:
            wire.send(request(order, one))
            read_answers(wire)
    saw, control = story(order, first), story(order, second)
    evidence = (
        saw.exhibit("the app saw of the first request"),
        control.exhibit("control, what the first has set must not be there: the app saw of the second"),
    )
    state, after = saw.scope.get("state"), control.scope.get("state")
    if not isinstance(state, dict) or not isinstance(after, dict):
        return absent("no state in the scope", *evidence)
    if state.get(STATE_KEY) != order.nonce or after.get(STATE_KEY) != order.nonce:
        return advertised(f"state is in the scope, without what was set at the start: {state}", *evidence)
    if OWN in after:
        # ASGI, Lifespan State: each request gets a shallow copy.
        return advertised(
            "the value of the start is there, and so is what another request has set", *evidence
        )
    return works(
        "the value of the start is in each scope, and what one request sets in no other’s", *evidence
    )


FEATURE = Feature("lifespan-state", "Lifespan state", "ASGI: Lifespan State", ("plain",), probe)
