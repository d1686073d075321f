"""X-Forwarded-For and X-Forwarded-Proto of a proxy that is trusted, in the app's scope."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.connection import open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.witness import answer, script, story

CLIENT = "203.0.113.7"
HEADERS = (("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https"))


def probe(order: ProbeOrder) -> Found:
    asked, bare = script(*answer()), script(*answer())
    with open_connection(order) as wire:
        wire.send(request(order, asked, *HEADERS))
        read_answers(wire)
    with open_connection(order) as other:
        other.send(request(order, bare))
        read_answers(other)
    saw, control = story(order, asked), story(order, bare)
    evidence = (
        *wire.evidence(),
        saw.exhibit(),
        control.exhibit("control, without the headers: the app saw"),
    )
    client, scheme = address(saw.scope.get("client")), saw.scope.get("scheme")
    if address(control.scope.get("client")) == CLIENT or control.scope.get("scheme") != "http":
        return broken("the control fails: a client that nobody named", *evidence)
    if client == CLIENT and scheme == "https":
        return works(f"the app saw the client {client} and the scheme {scheme}", *evidence)
    if CLIENT not in client and scheme != "https":
        return absent(f"ignored: the app saw the client {client} and the scheme {scheme}", *evidence)
    return absent(f"in part: the app saw the client {client} and the scheme {scheme}", *evidence)


def address(client: object) -> str:
    return str(client[0]) if isinstance(client, list) and client else str(client)


FEATURE = Feature(
    "proxy-headers", "Proxy headers", "X-Forwarded-For, X-Forwarded-Proto", ("plain", "proxy"), probe
)
