"""A Unix socket in place of a port."""

from __future__ import annotations

from dataclasses import replace

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.connection import open_connection
from remote.onhost.proving.http1 import read_answers, request
from remote.onhost.proving.witness import answer, script, story


def probe(order: ProbeOrder) -> Found:
    asked = script(*answer())
    with open_connection(order) as wire:
        wire.send(request(order, asked))
        (got,) = read_answers(wire)
    saw = story(order, asked)
    evidence = (*wire.evidence(), saw.exhibit())
    for other, what in (
        (replace(order, socket=f"{order.socket}-other"), "another path"),
        (replace(order, socket=""), "the port of its command"),
    ):
        try:
            open_connection(other).close()
        except OSError:
            continue
        return broken(f"the control fails: {what} is listened on too", *evidence)
    if got.body != b"ok" or not saw.reached:
        return absent(f"status {got.status}", *evidence)
    server = saw.scope.get("server")
    return works(f"answered, and no port is listened on; the app saw the server {server}", *evidence)


FEATURE = Feature("unix-socket", "Unix socket", "ASGI: HTTP scope, server", ("unix",), probe)
