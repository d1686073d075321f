"""WebSocket over HTTP/2, by extended CONNECT."""

from __future__ import annotations

from bench.wire.proving import ProbeOrder
from remote.onhost.features.probe import Feature, Found, absent, advertised, broken, works
from remote.onhost.proving.alpn import offered, selected_alpn
from remote.onhost.proving.connection import open_connection
from remote.onhost.proving.http2 import ENABLE_CONNECT_PROTOCOL, Http2Client, get
from remote.onhost.proving.websocket import WebSocketClient, echo
from remote.onhost.proving.witness import story


def probe(order: ProbeOrder) -> Found:
    asked, unknown = echo(), echo()
    with open_connection(order, alpn=("h2", "http/1.1")) as wire:
        if selected_alpn(wire) != "h2":
            return absent("no HTTP/2 to carry it", offered(wire))
        client = Http2Client(wire)
        client.await_settings()
        is_announced = client.settings.get(ENABLE_CONNECT_PROTOCOL) == 1
        headers = [*get(order, asked, method="CONNECT"), ("sec-websocket-version", "13")]
        stream = client.request([headers[0], (":protocol", "websocket"), *headers[1:]], end=False)
        got = client.streams[stream]
        client.read_until(lambda: bool(got.status) or got.reset is not None or bool(client.terminated), 0.8)
        if got.status == 200:
            told = _talk(client, stream)
        else:
            told = f"status {got.status}, reset {got.reset}, {client.terminated or 'connection open'}"
    with open_connection(order, alpn=("h2",)) as other:
        control = Http2Client(other)
        control.await_settings()
        headers = get(order, unknown, method="CONNECT")
        plain = control.request([headers[0], (":protocol", "none-such"), *headers[1:]], end=False)
        refused = control.streams[plain]
        control.read_until(lambda: bool(refused.status) or refused.reset is not None, 0.3)
    saw = story(order, asked, seconds=0.2)
    evidence = (
        *client.evidence(),
        saw.exhibit(),
        *control.evidence("control, a protocol that there is none of"),
    )
    if story(order, unknown, seconds=0.1).scope.get("type") == "websocket":
        return broken("the control fails: any protocol is taken for a WebSocket", *evidence)
    if told == "" and is_announced and saw.scope.get("type") == "websocket":
        return works(
            "SETTINGS_ENABLE_CONNECT_PROTOCOL is 1, and an echo came by extended CONNECT "
            f"(HTTP version {saw.scope.get('http_version')} in the app’s scope)",
            *evidence,
        )
    if is_announced:
        return advertised(f"SETTINGS_ENABLE_CONNECT_PROTOCOL is 1, and no echo came: {told}", *evidence)
    return absent(
        f"SETTINGS_ENABLE_CONNECT_PROTOCOL is not set; asked for anyway: {told or 'echoed'}", *evidence
    )


def _talk(client: Http2Client, stream: int) -> str:
    """ "" where a text came back; else what was wrong."""
    story_of_stream = client.streams[stream]
    read = 0

    def receive(seconds: float) -> bytes:
        nonlocal read
        client.read_until(lambda: len(story_of_stream.body) > read or story_of_stream.ended, seconds)
        data = bytes(story_of_stream.body[read:])
        read += len(data)
        return data

    socket = WebSocketClient(lambda data: client.send_data(stream, data), receive)
    socket.send_text("over h2")
    socket.read_until(lambda: socket.texts == ["over h2"], 1.5)
    return "" if socket.texts == ["over h2"] else f"200, then {socket.told}"


FEATURE = Feature(
    "websocket-over-http2", "WebSocket over HTTP/2", "RFC 8441", ("h2", "websocket_h2"), probe, "tls"
)
