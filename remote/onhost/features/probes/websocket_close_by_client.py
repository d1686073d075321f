"""A WebSocket that the client closes: its code reaches the app."""

from __future__ import annotations

from wsproto.events import CloseConnection

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.websocket import WebSocketClient, echo, handshake
from remote.onhost.proving.witness import story

CODE, REASON = 4001, "bye"


def probe(order: ProbeOrder) -> Found:
    asked, dropped = echo(), echo()
    opened = handshake(order, asked)
    with opened.connection as wire:
        if opened.status != 101:
            wire.read_for(0.1)
            return absent(f"no WebSocket: the handshake is answered with {opened.status}", *wire.evidence())
        client = WebSocketClient.over(opened)
        client.send(CloseConnection(code=CODE, reason=REASON))
        client.read_until(lambda: client.close_frame is not None)
    # RFC 6455, 7.1.5: without a Close frame the code is 1006; ASGI's own default is 1005.
    handshake(order, dropped).connection.close()
    saw, control = story(order, asked), story(order, dropped)
    codes = [one.get("code") for one in saw.received("websocket.disconnect")]
    lost = [one.get("code") for one in control.received("websocket.disconnect")]
    evidence = (
        *wire.evidence(),
        client.evidence(),
        saw.exhibit(),
        control.exhibit("control, the connection just ends: the app saw"),
    )
    if CODE in lost:
        return broken("the control fails: a code that the client did not give", *evidence)
    if codes != [CODE]:
        return absent(f"the client closed with {CODE}, and the app saw {codes}", *evidence)
    reasons = [one.get("reason") for one in saw.received("websocket.disconnect")]
    with_reason = "and the reason" if reasons == [REASON] else "without the reason"
    back = "" if client.close_frame == (CODE, REASON) else f"; the answer to it is {client.close_frame}"
    return works(f"the app saw {CODE} {with_reason}{back}; where the connection just ends {lost}", *evidence)


FEATURE = Feature(
    "websocket-close-by-client",
    "WebSocket: close code of the client",
    "RFC 6455, 7.4; ASGI: websocket.disconnect",
    ("websocket",),
    probe,
    "plain",
)
