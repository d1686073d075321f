"""HTTP/2 over TLS, chosen by ALPN."""

from __future__ import annotations

from bench.wire.proving import Exhibit, ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.alpn import offered, selected_alpn
from remote.onhost.proving.connection import open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.http2 import Http2Client, get
from remote.onhost.proving.witness import answer, script, story


def probe(order: ProbeOrder) -> Found:
    asked, plain = script(*answer("over h2")), script(*answer("over 1.1"))
    with open_connection(order, alpn=("h2", "http/1.1")) as wire:
        selected = selected_alpn(wire)
        if selected != "h2":
            wire.send(request(order, plain))
            read_answers(wire)
            return absent(
                f"offered h2 and http/1.1, the server chose {selected or 'none'}",
                offered(wire),
                *wire.evidence(),
                story(order, plain).exhibit(),
            )
        client = Http2Client(wire)
        got = client.answer(client.request(get(order, asked)))
    with open_connection(order, alpn=("http/1.1",)) as other:
        other_selected = selected_alpn(other)
        other.send(request(order, plain))
        (old,) = read_answers(other)
    saw, control = story(order, asked), story(order, plain)
    evidence = (
        Exhibit.of("ALPN", b"offered h2 and http/1.1, chosen h2"),
        *client.evidence(),
        saw.exhibit(),
        *other.evidence("control, http/1.1 alone is offered"),
        control.exhibit("control: the app saw"),
    )
    if other_selected == "h2" or old.body != b"over 1.1" or control.scope.get("http_version") != "1.1":
        return broken("the control fails: a client of HTTP/1.1 alone is not served by it", *evidence)
    if got.status != 200 or bytes(got.body) != b"over h2" or saw.scope.get("http_version") != "2":
        version = saw.scope.get("http_version")
        return absent(f"status {got.status}, and the app saw HTTP version {version}", *evidence)
    return works("chosen by ALPN, answered, and HTTP version 2 in the app’s scope", *evidence)


FEATURE = Feature("http2-alpn", "HTTP/2 by ALPN", "RFC 9113, 3.2", ("h2",), probe, "tls")
