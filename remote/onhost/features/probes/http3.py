"""HTTP/3 over QUIC."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.connection import open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.witness import answer, script, story


def probe(order: ProbeOrder) -> Found:
    # Importing it takes as long as all other probes together, and most starts don't need it.
    from remote.onhost.proving.http3 import http3_get

    asked, plain, unknown = script(*answer("over h3")), script(*answer("over TCP")), script(*answer())
    got = http3_get(order, asked)
    with open_connection(order) as other:
        other.send(request(order, plain))
        read_answers(other)
    control = story(order, plain)
    if got.problem or got.status != 200:
        return absent(
            got.problem or f"status {got.status}",
            *got.evidence(),
            *other.evidence("control, the same port over TCP"),
            control.exhibit("control: the app saw"),
        )
    refused = http3_get(order, unknown, alpn=("none-such",))
    saw = story(order, asked)
    evidence = (
        *got.evidence(),
        saw.exhibit(),
        *refused.evidence("control, a protocol that there is none of"),
        control.exhibit("control over TCP: the app saw"),
    )
    if refused.status or control.scope.get("http_version") != "1.1":
        return broken("the control fails: a protocol that there is none of is served", *evidence)
    if bytes(got.body) != b"over h3" or saw.scope.get("http_version") != "3":
        version = saw.scope.get("http_version")
        return absent(f"status {got.status}, and the app saw HTTP version {version}", *evidence)
    return works("a handshake over QUIC, an answer, and HTTP version 3 in the app’s scope", *evidence)


FEATURE = Feature("http3", "HTTP/3 over QUIC", "RFC 9114", ("h3",), probe, "tls")
