"""Lifespan: the app is told of the server's start before its first request."""

from __future__ import annotations

from bench.wire.proving import LIFESPAN_TOKEN, ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.connection import open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.witness import answer, script, story, story_of


def probe(order: ProbeOrder) -> Found:
    asked = script(*answer())
    with open_connection(order) as wire:
        wire.send(request(order, asked))
        read_answers(wire)
    saw, life = story(order, asked), story_of(order, LIFESPAN_TOKEN, seconds=0.0)
    never = story_of(order, "never-started", seconds=0.0)
    evidence = (life.exhibit("the app saw of the lifespan"), saw.exhibit("the app saw of a request"))
    started = life.received("lifespan.startup")
    if never.reached:
        return broken("the control fails: a lifespan that there is none of", *evidence)
    if not started:
        return absent("the app was never called for a lifespan", *evidence)
    if life.received("lifespan.shutdown") or len(started) != 1:
        return absent(f"{len(started)} starts, and a stop before the end", *evidence)
    if life.first_at > saw.first_at:
        return absent("the start comes after a request", *evidence)
    return works("one lifespan.startup, before the first request, and no shutdown until then", *evidence)


FEATURE = Feature("lifespan", "Lifespan", "ASGI: Lifespan protocol", ("plain",), probe)
