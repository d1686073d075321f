"""Close codes of a WebSocket, in both directions, and of a connection that just ends."""

from __future__ import annotations

from wsproto.events import CloseConnection

from bench.wire.proving import ProbeOrder, Step
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.websocket import ACCEPT, CONNECT, WebSocketClient, echo, handshake
from remote.onhost.proving.witness import script, story

FROM_CLIENT, FROM_APP = 4001, 4002
NO_CLOSE_FRAME = (1005, 1006)
"""RFC 6455, 7.1.5: 1006 where no Close frame came; ASGI's own default is 1005."""


def probe(order: ProbeOrder) -> Found:
    asked = echo()
    opened = handshake(order, asked)
    with opened.connection as wire:
        if opened.status != 101:
            wire.read_for(0.1)
            return absent(f"no WebSocket: the handshake is answered with {opened.status}", *wire.evidence())
        client = WebSocketClient.over(opened)
        client.send(CloseConnection(code=FROM_CLIENT, reason="bye"))
        client.read_until(lambda: client.close_frame is not None)
    closes = script(
        *CONNECT, ACCEPT, Step("send", {"type": "websocket.close", "code": FROM_APP, "reason": "ciao"})
    )
    other = handshake(order, closes)
    with other.connection:
        reader = WebSocketClient.over(other)
        reader.read_until(lambda: reader.close_frame is not None)
    dropped = echo()
    handshake(order, dropped).connection.close()
    saw, control = story(order, asked), story(order, dropped)
    codes = [one.get("code") for one in saw.received("websocket.disconnect")]
    lost = [one.get("code") for one in control.received("websocket.disconnect")]
    evidence = (
        *wire.evidence("the client closes"),
        client.evidence(),
        saw.evidence(),
        *other.connection.evidence("the app closes"),
        reader.evidence("the app closes: the client read"),
        control.evidence("control, the connection just ends: the app saw"),
    )
    if FROM_CLIENT in lost or FROM_APP in lost:
        return broken("the control fails: a code that nobody sent", *evidence)
    if codes != [FROM_CLIENT]:
        return absent(f"the client closed with {FROM_CLIENT}, and the app saw {codes}", *evidence)
    if reader.close_frame != (FROM_APP, "ciao"):
        return absent(f"the app closed with {FROM_APP}, and the client read {reader.close_frame}", *evidence)
    echoed = (
        "" if client.close_frame == (FROM_CLIENT, "bye") else f"; it is answered with {client.close_frame}"
    )
    lost_as = (
        f"; a connection that just ends is {lost[0]}" if lost else "; of one that just ends nothing is told"
    )
    return works(f"codes and reasons pass in both directions{echoed}{lost_as}", *evidence)


FEATURE = Feature(
    "websocket-close-codes", "WebSocket: close codes", "RFC 6455, 7.4", ("websocket",), probe, "plain"
)
