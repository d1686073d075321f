"""HTTP/2 without TLS, by prior knowledge: the client begins with HTTP/2's preface."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.connection import NotAnswered, open_connection
from remote.onhost.proving.http2 import Http2Client, get
from remote.onhost.proving.witness import answer, script, story


def probe(order: ProbeOrder) -> Found:
    asked = script(*answer("over h2"))
    with open_connection(order) as wire:
        client = Http2Client(wire)
        if not client.await_settings(1.5):
            return absent("the preface of HTTP/2 is not answered with SETTINGS", *client.evidence())
        try:
            got = client.answer(client.request(get(order, asked)))
        except NotAnswered as error:
            return absent(f"SETTINGS came, and no answer: {error}", *client.evidence())
    with open_connection(order) as other:
        other.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        other.read_for()
    saw = story(order, asked)
    evidence = (*client.evidence(), saw.exhibit(), *other.evidence("control, a preface that is none"))
    if other.received[3:4] == b"\4" and not other.ended:
        return broken("the control fails: a wrong preface opens a connection of HTTP/2", *evidence)
    if got.status != 200 or bytes(got.body) != b"over h2" or saw.scope.get("http_version") != "2":
        version = saw.scope.get("http_version")
        return absent(f"status {got.status}, and the app saw HTTP version {version}", *evidence)
    return works("SETTINGS and an answer came, and HTTP version 2 in the app’s scope", *evidence)


FEATURE = Feature(
    "h2c-prior-knowledge", "HTTP/2 without TLS, by prior knowledge", "RFC 9113, 3.3", ("h2c",), probe, "plain"
)
