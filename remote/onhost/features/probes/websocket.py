"""WebSocket: a handshake, and text, bytes and a ping there and back."""

from __future__ import annotations

from wsproto.events import BytesMessage, Ping

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.websocket import WebSocketClient, echo, handshake
from remote.onhost.proving.witness import story


def probe(order: ProbeOrder) -> Found:
    asked, old = echo(), echo()
    opened = handshake(order, asked)
    with opened.connection as wire:
        if opened.status != 101:
            wire.read_for(0.1)
            saw = story(order, asked, seconds=0.3)
            return absent(f"the handshake is answered with {opened.status}", *wire.evidence(), saw.exhibit())
        client = WebSocketClient.over(opened)
        client.send_text("häh?")
        client.send(BytesMessage(data=b"\0\xff"))
        client.send(Ping(payload=b"alive"))
        client.expect(
            lambda: (
                client.texts == ["häh?"] and client.binaries == [b"\0\xff"] and client.pongs == [b"alive"]
            ),
            "echo of text and bytes, and pong",
        )
    refused = handshake(order, old, version="7")
    refused.connection.close()
    saw, control = story(order, asked), story(order, old, seconds=0.2)
    evidence = (
        *wire.evidence(),
        client.evidence(),
        saw.exhibit(),
        *refused.connection.evidence("control, version 7"),
        control.exhibit("control: the app saw"),
    )
    if refused.status == 101:
        return broken("the control fails: version 7 of WebSocket is accepted", *evidence)
    if saw.scope.get("type") != "websocket":
        return absent(f"the app saw a scope of type {saw.scope.get('type')}", *evidence)
    return works("text, bytes and a ping there and back; version 7 is refused", *evidence)


FEATURE = Feature("websocket", "WebSocket", "RFC 6455", ("websocket",), probe, "plain")
