"""One version of TLS: a handshake with a client that speaks no other, and an answer over it."""

from __future__ import annotations

import ssl

from bench.wire.proving import Exhibit, ProbeOrder
from remote.onhost.features.probe import Found, absent, broken, works
from remote.onhost.proving.connection import open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.witness import answer, script, story


def probe_of_version(order: ProbeOrder, version: ssl.TLSVersion, name: str) -> Found:
    """``name`` is what OpenSSL calls it."""
    asked, bare = script(*answer()), script(*answer())
    with open_connection(order, plain=True) as control:
        control.send(request(order, bare))
        control.read_for()
    of_control = (
        *control.evidence("control, no TLS on the same port"),
        story(order, bare, seconds=0.1).exhibit("control: the app saw"),
    )
    if b"HTTP/1.1 200" in control.received or story(order, bare, seconds=0.0).reached:
        return broken("the control fails: a request without TLS is served on the same port", *of_control)
    remark = ""
    try:
        wire = open_connection(order, version=version)
    except (ssl.SSLError, ConnectionError) as error:
        try:
            wire = open_connection(order, version=version, any_cipher=True)
        except (ssl.SSLError, ConnectionError):
            return absent(f"a client of {name} alone is not served: {error}", *of_control)
        remark = "; only by a cipher that clients of today leave out"
    with wire:
        assert isinstance(wire.peer, ssl.SSLSocket)
        agreed = f"{wire.peer.version()}, {(wire.peer.cipher() or ('none',))[0]}"
        wire.send(request(order, asked))
        (got,) = read_answers(wire)
    saw = story(order, asked)
    evidence = (
        Exhibit.of("the handshake", agreed.encode()),
        *wire.evidence(),
        saw.exhibit(),
        *of_control,
    )
    if not agreed.startswith(name) or got.body != b"ok":
        return absent(f"agreed on {agreed}, answered with {got.status}", *evidence)
    scheme = saw.scope.get("scheme")
    if scheme != "https":
        return absent(f"{agreed}, and the app saw the scheme {scheme}", *evidence)
    return works(f"{agreed}, and https in the app’s scope{remark}", *evidence)
