"""Alt-Svc: an answer over TCP says where HTTP/3 is spoken, and there it is."""

from __future__ import annotations

import re

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, advertised, broken, works
from remote.onhost.proving.alpn import selected_alpn
from remote.onhost.proving.connection import open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.http2 import Http2Client, get
from remote.onhost.proving.witness import answer, script, story

SERVICE = re.compile(r'(h3(?:-\d+)?)="[^":]*:(\d+)"')
"""The protocol, of which h3-29 is a draft, and the port."""


def probe(order: ProbeOrder) -> Found:
    # Importing it takes as long as all other probes together, and most starts don't need it.
    from remote.onhost.proving.http3 import http3_get

    asked, there = script(*answer()), script(*answer("over h3"))
    with open_connection(order, alpn=("h2", "http/1.1")) as wire:
        if selected_alpn(wire) == "h2":
            client = Http2Client(wire)
            headers = dict(client.answer(client.request(get(order, asked))).headers)
            over = client.evidence()
        else:
            wire.send(request(order, asked))
            headers = dict(read_answers(wire)[0].headers)
            over = wire.evidence()
    named = headers.get("alt-svc", "")
    if not named:
        return absent("the answer over TCP has no Alt-Svc", *over, story(order, asked).exhibit())
    found = SERVICE.search(named)
    got = http3_get(order, there, alpn=(found[1],), port=int(found[2])) if found else None
    if got is None or got.problem or bytes(got.body) != b"over h3":
        told = "" if got is None else got.problem
        return advertised(f"Alt-Svc is {named}, and that is not spoken there: {told}", *over)
    elsewhere = http3_get(order, None, port=int(found[2]) + 1 if found else 1)
    evidence = (*over, *got.evidence(), *elsewhere.evidence("control, the next port"))
    if elsewhere.status:
        return broken("the control fails: the next port answers too", *evidence)
    return works(f"Alt-Svc is {named}, and that is spoken there", *evidence)


FEATURE = Feature("alt-svc", "Alt-Svc names HTTP/3", "RFC 7838", ("h3",), probe, "tls")
