"""A WebSocket that the app closes: its code, and its reason, reach the client."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder, Step
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.websocket import ACCEPT, CONNECT, WebSocketClient, handshake
from remote.onhost.proving.witness import script, story

CODE, REASON = 4002, "ciao"


def probe(order: ProbeOrder) -> Found:
    closes = script(
        *CONNECT, ACCEPT, Step("send", {"type": "websocket.close", "code": CODE, "reason": REASON})
    )
    usual = script(*CONNECT, ACCEPT, Step("send", {"type": "websocket.close"}))
    opened, other = handshake(order, closes), handshake(order, usual)
    with opened.connection, other.connection:
        if opened.status != 101:
            opened.connection.read_for(0.1)
            told = f"no WebSocket: the handshake is answered with {opened.status}"
            return absent(told, *opened.connection.evidence())
        reader, control = WebSocketClient.over(opened), WebSocketClient.over(other)
        for one in (reader, control):
            one.read_until(lambda one=one: one.close_frame is not None)  # type: ignore[misc]
    evidence = (
        *opened.connection.evidence(),
        reader.evidence(),
        story(order, closes).exhibit(),
        *other.connection.evidence("control, a close without a code"),
    )
    if control.close_frame is not None and control.close_frame[0] == CODE:
        return broken("the control fails: a code that the app did not give", *evidence)
    if reader.close_frame is None or reader.close_frame[0] != CODE:
        return absent(f"the app closed with {CODE}, and the client read {reader.close_frame}", *evidence)
    if reader.close_frame[1] != REASON:
        return works(f"the client read {CODE}; the reason does not reach it", *evidence)
    return works(f"the client read {CODE} and the reason; without a code {control.close_frame}", *evidence)


FEATURE = Feature(
    "websocket-close-by-app",
    "WebSocket: close code of the app",
    "RFC 6455, 7.4; ASGI: websocket.close",
    ("websocket",),
    probe,
    "plain",
)
