"""websocket.http.response: an app that refuses a WebSocket with an HTTP answer of its own."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder, Step
from remote.onhost.features.probe import Feature, Found, absent, advertised, broken, works
from remote.onhost.proving.websocket import CONNECT, handshake
from remote.onhost.proving.witness import script, story

EXTENSION = "websocket.http.response"
STATUS = 418
START = {
    "type": "websocket.http.response.start",
    "status": STATUS,
    "headers": [["content-type", "text/plain"], ["content-length", "6"]],
}


def probe(order: ProbeOrder) -> Found:
    denies = script(
        *CONNECT,
        Step("send", dict(START)),
        Step("send", {"type": "websocket.http.response.body", "body": "teapot"}),
        # A server that passes over what it doesn't know would leave the client waiting.
        Step("send", {"type": "websocket.close", "code": 1000}),
    )
    closes = script(*CONNECT, Step("send", {"type": "websocket.close", "code": 1000}))
    opened = handshake(order, denies)
    with opened.connection as wire:
        wire.read_until(lambda received: b"teapot" in received, 1.0)
    other = handshake(order, closes)
    with other.connection:
        other.connection.read_for(0.1)
    saw, control = story(order, denies), story(order, closes)
    evidence = (
        *wire.evidence(),
        saw.exhibit(),
        *other.connection.evidence("control, a plain close before the accept"),
    )
    is_in_scope = EXTENSION in saw.extensions
    is_answered = opened.status == STATUS and b"teapot" in wire.received
    if not saw.reached or saw.scope.get("type") != "websocket":
        return absent(f"no WebSocket: the handshake is answered with {opened.status}", *evidence)
    if control.reached and other.status == STATUS:
        return broken("the control fails: the app's status without the app's answer", *evidence)
    if is_answered and is_in_scope:
        return works(f"status {STATUS} and the app’s body; a plain close is {other.status}", *evidence)
    if is_in_scope:
        return advertised(f"in the scope, and the answer is {opened.status}", *evidence)
    refused = saw.refused("websocket.http.response.start")
    how = f"sending it anyway raises {refused}" if refused else f"sent anyway, the answer is {opened.status}"
    return absent(f"not in the scope; {how}", *evidence)


FEATURE = Feature(
    "websocket-http-response",
    "websocket.http.response",
    "ASGI extension: WebSocket Denial Response",
    ("websocket",),
    probe,
    "plain",
)
