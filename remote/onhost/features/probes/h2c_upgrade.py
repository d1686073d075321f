"""HTTP/2 without TLS, by the Upgrade header of HTTP/1.1."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.connection import NotAnswered, open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.http2 import Http2Client, new_connection
from remote.onhost.proving.witness import answer, script, story


def first_line(received: bytes) -> str:
    return received.partition(b"\r\n")[0].decode("latin-1")


def probe(order: ProbeOrder) -> Found:
    asked, plain = script(*answer("upgraded")), script(*answer("not upgraded"))
    upgraded = new_connection()
    settings = upgraded.initiate_upgrade_connection() or b""
    wish = (
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", settings.decode().rstrip("=")),
    )
    with open_connection(order) as other:
        other.send(request(order, plain))
        (control,) = read_answers(other)
    with open_connection(order) as wire:
        wire.send(request(order, asked, *wish))
        head = wire.wait_for(lambda received: b"\r\n\r\n" in received, "answer")
        if not head.startswith(b"HTTP/1.1 101"):
            wire.read_for(0.1)
            return absent(
                f"the answer is {first_line(head)}",
                *wire.evidence(),
                story(order, asked, seconds=0.5).exhibit(),
                *other.evidence("control, without Upgrade"),
            )
        client = Http2Client(wire, upgraded=upgraded)
        client.begin_reading_at(head.index(b"\r\n\r\n") + 4)
        try:
            got = client.answer(1)
        except NotAnswered:
            saw = story(order, asked, seconds=0.5)
            return absent("101, and no answer on stream 1", *client.evidence(), saw.exhibit())
    saw = story(order, asked)
    evidence = (*client.evidence(), saw.exhibit(), *other.evidence("control, without Upgrade"))
    if control.status != 200 or control.body != b"not upgraded":
        return broken("the control fails: a request without Upgrade is not answered by HTTP/1.1", *evidence)
    if got.status != 200 or bytes(got.body) != b"upgraded" or saw.scope.get("http_version") != "2":
        version = saw.scope.get("http_version")
        return absent(f"101, then status {got.status}; the app saw HTTP version {version}", *evidence)
    return works("101, an answer on stream 1, and HTTP version 2 in the app’s scope", *evidence)


FEATURE = Feature(
    "h2c-upgrade",
    "HTTP/2 without TLS, by Upgrade",
    "RFC 7540, 3.2 (left out of RFC 9113)",
    ("h2c",),
    probe,
    "plain",
)
