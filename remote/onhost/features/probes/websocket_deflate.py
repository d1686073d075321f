"""permessage-deflate: messages of a WebSocket compressed in both directions."""

from __future__ import annotations

from wsproto.extensions import PerMessageDeflate

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, broken, works
from remote.onhost.proving.websocket import WebSocketClient, echo, handshake
from remote.onhost.proving.witness import story

TEXT = "asgibench " * 400
COMPRESSED = 0xC1
"""The first byte of a whole text message with RSV1 set (RFC 7692, 6); 0x81 without."""


def probe(order: ProbeOrder) -> Found:
    asked, bare = echo(), echo()
    extension = PerMessageDeflate()
    offer = extension.offer()
    offered = "permessage-deflate" + (f"; {offer}" if isinstance(offer, str) else "")
    opened = handshake(order, asked, ("Sec-WebSocket-Extensions", offered))
    with opened.connection as wire:
        if opened.status != 101:
            wire.read_for(0.1)
            return absent(f"no WebSocket: the handshake is answered with {opened.status}", *wire.evidence())
        agreed = opened.headers.get("sec-websocket-extensions", "")
        if "permessage-deflate" not in agreed:
            return absent("offered, and not in the answer to the handshake", *wire.evidence())
        extension.finalize(agreed)
        client = WebSocketClient.over(opened, [extension])
        client.send_text(TEXT)
        client.expect(lambda: client.texts == [TEXT], "echo")
        frames = bytes(wire.received[opened.head_bytes :])
    without = handshake(order, bare)
    with without.connection as other:
        plain = WebSocketClient.over(without)
        plain.send_text(TEXT)
        plain.expect(lambda: plain.texts == [TEXT], "echo without compression")
        plain_frames = bytes(other.received[without.head_bytes :])
    saw = story(order, asked)
    evidence = (*wire.evidence(), saw.exhibit(), *other.evidence("control, nothing offered"))
    if plain_frames[0] == COMPRESSED or len(plain_frames) < len(TEXT):
        return broken("the control fails: compressed without an offer", *evidence)
    if frames[0] != COMPRESSED or len(frames) >= len(TEXT):
        return absent(
            f"agreed on, and the echo of {len(TEXT)} bytes comes as {len(frames)}, not compressed", *evidence
        )
    return works(
        f"the echo of {len(TEXT):,} bytes comes in {len(frames)}, without the offer in {len(plain_frames):,}",
        *evidence,
    )


FEATURE = Feature(
    "websocket-deflate", "WebSocket: permessage-deflate", "RFC 7692", ("websocket",), probe, "plain"
)
