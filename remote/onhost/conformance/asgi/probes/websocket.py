"""WebSocket: the scope, the handshake, the messages, and the ways in which a connection ends.

One table, which is longer than a module may be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remote.onhost.conformance.asgi.exchange import AsgiExchange, AsgiObserved, Asked
from remote.onhost.conformance.asgi.probe import (
    AsgiProbe,
    AsgiVerdict,
    allowed,
    ask,
    conforms,
    outcome,
    violates,
    weak,
)
from remote.onhost.conformance.asgi.probes.http_disconnect import SINCE_RAISING, go
from remote.onhost.conformance.asgi.probes.http_scope import PROBES as HTTP_SCOPE
from remote.onhost.conformance.asgi.probes.http_scope import (
    Check,
    header_is,
    is_exactly,
    is_optional,
    told,
)
from remote.onhost.conformance.asgi.websocket import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawFrame,
    close_frame,
    connect,
    handshake,
    read_close,
    read_frames,
    server_frames,
)
from testapp.proving.record import LongBytes
from testapp.proving.steps import Step

SCOPE = "ASGI WebSocket, Websocket Connection Scope"
CONNECT = "ASGI WebSocket, Connect - receive event"
ACCEPTING = "ASGI WebSocket, Accept - send event"
RECEIVE = "ASGI WebSocket, Receive - receive event"
SEND = "ASGI WebSocket, Send - send event"
DISCONNECT = "ASGI WebSocket, Disconnect - receive event"
GONE = "ASGI WebSocket, Disconnected Client - send exception"
CLOSING = "ASGI WebSocket, Close - send event"
ERRORS = "ASGI, Error Handling"

FIRST: list[Step] = [["receive", 1.5]]
OPEN: list[Step] = [*FIRST, ["send", {"type": "websocket.accept"}]]
SAY = {"type": "websocket.send", "text": "said"}
END = {"type": "websocket.close"}


def sent_by(observed: AsgiObserved, opcode: int) -> list[RawFrame]:
    return [one for one in server_frames(observed.exchange) if one.opcode == opcode]


def is_open(observed: AsgiObserved) -> bool:
    return observed.status == 101


def opened(judge: Check) -> Check:
    """Where the handshake came to its end."""

    def judge_open(observed: AsgiObserved) -> AsgiVerdict:
        return judge(observed) if is_open(observed) else violates(f"no WebSocket: {outcome(observed)}")

    return judge_open


# ---------------------------------------------------------------- clients


def open_and_leave(exchange: AsgiExchange) -> None:
    connect(exchange)
    exchange.wire.send(close_frame(1000).encoded)
    exchange.wire.read_for(0.3)


def send_and_read(*frames: RawFrame, count: int = 1) -> Callable[[AsgiExchange], None]:
    """Send these behind the handshake, read so many, and close."""

    def client(exchange: AsgiExchange) -> None:
        connect(exchange)
        for frame in frames:
            exchange.wire.send(frame.encoded)
        read_frames(exchange, count)
        exchange.wire.send(close_frame(1000).encoded)
        exchange.wire.read_for(0.3)

    return client


def await_close(exchange: AsgiExchange) -> None:
    """The server's close, which is answered."""
    connect(exchange)
    read_close(exchange)
    exchange.until_ended()


def close_with(code: int | None, reason: str = "") -> Callable[[AsgiExchange], None]:
    def client(exchange: AsgiExchange) -> None:
        connect(exchange)
        exchange.wire.send(close_frame(code, reason).encoded)
        exchange.wire.read_for(0.3)
        exchange.until_ended()

    return client


def vanish(exchange: AsgiExchange) -> None:
    connect(exchange)
    go(exchange, reset=True)
    exchange.until_ended(3.0)


def hold_handshake(exchange: AsgiExchange) -> None:
    exchange.wire.send(exchange.request)
    exchange.wire.read_until(lambda received: b"\r\n\r\n" in received, 0.4)
    exchange.facts["early"] = b"\r\n\r\n" in exchange.wire.received
    exchange.wire.read_until(lambda received: b"\r\n\r\n" in received, 1.5)


# ---------------------------------------------------------------- judges


def _connect_first(observed: AsgiObserved) -> AsgiVerdict:
    first = observed.kinds[:1]
    return (conforms if first == ("websocket.connect",) else violates)(f"the first event is {first!r}")


def _waits(observed: AsgiObserved) -> AsgiVerdict:
    if observed.facts["early"]:
        return violates("the handshake is completed before the app accepts")
    return opened(lambda _: conforms("the handshake waits for the app"))(observed)


def _accepted(observed: AsgiObserved) -> AsgiVerdict:
    values = () if observed.answer is None else observed.answer.values(b"sec-websocket-accept")
    return (conforms if values == (ACCEPT,) else violates)(f"101 with Sec-WebSocket-Accept {values!r}")


def answer_has(name: bytes, *right: bytes) -> Check:
    def judge(observed: AsgiObserved) -> AsgiVerdict:
        values = () if observed.answer is None else observed.answer.values(name)
        return (conforms if values == right else violates)(f"the handshake has {name.decode()} {values!r}")

    return opened(judge)


def refused_with(*right: int) -> Check:
    def judge(observed: AsgiObserved) -> AsgiVerdict:
        if observed.status in right:
            return conforms(outcome(observed))
        if not observed.status and not observed.ended:
            return violates("the client waits for ever")
        return (
            violates(outcome(observed))
            if is_open(observed) or observed.status
            else allowed(outcome(observed))
        )

    return judge


def _not_opened(observed: AsgiObserved) -> AsgiVerdict:
    """Of an app that fails or leaves before it accepts: any end is right, but no connection."""
    if is_open(observed):
        return violates("the handshake is completed")
    if not observed.status and not observed.ended:
        return violates("the client waits for ever")
    return conforms(outcome(observed))


def messages(observed: AsgiObserved) -> list[dict[str, Any]]:
    return [one for one in observed.received if one.get("type") == "websocket.receive"]


def receives(key: str, right: object) -> Check:
    """One message: ``right`` under ``key``, and nothing under the other."""

    def judge(observed: AsgiObserved) -> AsgiVerdict:
        found = messages(observed)
        other = {"text": "bytes", "bytes": "text"}[key]
        fits = len(found) == 1 and found[0].get(key) == right and found[0].get(other) is None
        fits = fits and type(found[0].get(key)) is type(right)
        return (conforms if fits else violates)(f"the app receives {found!r:.160}")

    return opened(judge)


def _large(observed: AsgiObserved) -> AsgiVerdict:
    found = messages(observed)
    sizes = [one["bytes"].length for one in found if isinstance(one.get("bytes"), LongBytes)]
    return (conforms if sizes == [300_000] else violates)(f"the app receives {sizes or found!r:.160}")


def echoed(opcode: int, payload: bytes) -> Check:
    def judge(observed: AsgiObserved) -> AsgiVerdict:
        found = sent_by(observed, opcode)
        fits = b"".join(one.payload for one in found) == payload
        return (conforms if fits else violates)(f"the client receives {found!r:.160}")

    return opened(judge)


def _pong(observed: AsgiObserved) -> AsgiVerdict:
    pongs = [one.payload for one in sent_by(observed, PONG)]
    if messages(observed):
        return violates(f"the app is given {messages(observed)!r:.120}")
    return (conforms if pongs == [b"are you there"] else violates)(f"it answers the ping with {pongs!r}")


def disconnects(*codes: int, reason: str | None = None) -> Check:
    def judge(observed: AsgiObserved) -> AsgiVerdict:
        found = [one for one in observed.received if one.get("type") == "websocket.disconnect"]
        if not found:
            return violates("the app hears nothing of it")
        shown = f"the app hears code {found[0].get('code')!r}, reason {found[0].get('reason')!r}"
        if found[0].get("code") not in codes or type(found[0]["code"]) is not int:
            return violates(shown)
        if reason is not None and found[0].get("reason") != reason:
            return allowed(shown) if observed.spec_version < (2, 5) else violates(shown)
        return conforms(shown)

    return opened(judge)


def closes_with(*codes: int, reason: str = "") -> Check:
    def judge(observed: AsgiObserved) -> AsgiVerdict:
        found = sent_by(observed, CLOSE)
        if not found:
            return violates(
                "the client waits for ever" if not observed.ended else f"no close frame: {outcome(observed)}"
            )
        shown = f"it closes with code {found[0].close_code}, reason {found[0].close_reason!r}"
        fits = found[0].close_code in codes and found[0].close_reason == reason
        return (conforms if fits else violates)(shown)

    return opened(judge)


def _ends(observed: AsgiObserved) -> AsgiVerdict:
    """Of an app that left: the socket must be closed, in whichever way."""
    found = sent_by(observed, CLOSE)
    if found:
        return conforms(f"it closes with code {found[0].close_code}")
    if observed.ended:
        return weak(f"it {observed.ended} the connection without a close frame")
    return violates("the connection stays open")


def _quiet(observed: AsgiObserved) -> AsgiVerdict:
    """What is sent behind the end: raised at or dropped, but not put on the wire."""
    if sent_by(observed, TEXT):
        return violates("it is sent behind the close")
    if not observed.outcome:
        return violates("send() does not return")
    raised = observed.noted("refused")
    if raised and "OSError" not in raised[0].more["classes"]:
        return weak(f"send() raises {observed.refusals[0]:.120}, which is no OSError")
    if not raised and observed.spec_version >= SINCE_RAISING:
        return weak("send() does nothing")
    return conforms(f"send() raises {observed.refusals[0]:.120}" if raised else "send() does nothing")


def raises(observed: AsgiObserved) -> AsgiVerdict:
    if observed.refusals:
        return conforms(f"send() raises {observed.refusals[0]:.120}")
    return weak(f"it is accepted: {outcome(observed)}, {server_frames(observed.exchange)!r:.120}")


def _early_send(observed: AsgiObserved) -> AsgiVerdict:
    if sent_by(observed, TEXT):
        return violates("it is sent before the app has accepted")
    return raises(observed)


DENIAL: list[Step] = [
    *FIRST,
    [
        "send",
        {"type": "websocket.http.response.start", "status": 401, "headers": [(b"content-length", b"4")]},
    ],
    ["send", {"type": "websocket.http.response.body", "body": b"deny"}],
]


def _denied(observed: AsgiObserved) -> AsgiVerdict:
    if "websocket.http.response" not in (observed.scope.get("extensions") or {}):
        return allowed("the extension is not there")
    answer = observed.answer
    if answer is not None and (answer.status, answer.body) == (401, b"deny"):
        return conforms("the app's own 401 is sent")
    return violates(f"the extension is there, and {outcome(observed)}")


# ---------------------------------------------------------------- rows


def row(
    name: str,
    title: str,
    judge: Check,
    steps: list[Step],
    client: Callable[[AsgiExchange], None],
    rule: str,
    asked: Asked | None = None,
    **more: Any,
) -> AsgiProbe:
    return AsgiProbe(
        f"websocket-{name}",
        "WebSocket",
        title,
        rule,
        judge,
        steps=steps,
        client=client,
        asked=asked or handshake(),
        **more,
    )


def scope_row(name: str, title: str, judge: Check, asked: Asked | None = None, **more: Any) -> AsgiProbe:
    steps = [*OPEN, ["disconnect", 1.0]]
    return row(f"scope-{name}", title, judge, steps, open_and_leave, SCOPE, asked, **more)


def _subprotocols(observed: AsgiObserved) -> AsgiVerdict:
    found = observed.scope.get("subprotocols", [])
    return (conforms if list(found) == ["one", "two"] else violates)(told("subprotocols", found))


def same_as_http(name: str) -> Check:
    """The check of the same key of an HTTP scope."""
    return next(one.judge for one in HTTP_SCOPE if one.name == f"scope-{name}")


HELLO = RawFrame(TEXT, b"hello")
ECHO: list[Step] = [*OPEN, ["echo", 2.0]]
LISTEN: list[Step] = [*OPEN, ["disconnect", 1.5]]

PROBES = (
    scope_row("type", "type", is_exactly("type", "websocket")),
    scope_row("asgi", "asgi: the version of ASGI", same_as_http("asgi-version")),
    scope_row("http-version", "http_version", is_optional("http_version", "1.1")),
    scope_row("scheme", "scheme", is_optional("scheme", "ws")),
    scope_row(
        "path", "path, decoded", is_exactly("path", "/café x"), handshake(target=b"/caf%C3%A9%20x?y=%20")
    ),
    scope_row(
        "query", "query_string, encoded", is_optional("query_string", b"y=%20"), handshake(target=b"/a?y=%20")
    ),
    scope_row("headers", "headers are pairs of byte strings", same_as_http("headers")),
    scope_row(
        "headers-twice",
        "a header that comes twice",
        header_is(b"x-twice", b"1", b"2"),
        handshake((b"X-Twice", b"1"), (b"X-Twice", b"2")),
    ),
    scope_row("client", "client is our address and port", same_as_http("client")),
    scope_row("server", "server is the listening address and port", same_as_http("server")),
    scope_row("state", "state has what the lifespan set", same_as_http("state")),
    scope_row(
        "subprotocols",
        "subprotocols of the handshake",
        _subprotocols,
        handshake((b"Sec-WebSocket-Protocol", b"one, two")),
    ),
    row("connect", "the first event is websocket.connect", _connect_first, LISTEN, open_and_leave, CONNECT),
    row(
        "waits",
        "the handshake waits for the app",
        _waits,
        [*FIRST, ["sleep", 0.8], ["send", {"type": "websocket.accept"}], ["disconnect", 1.0]],
        hold_handshake,
        CONNECT,
    ),
    row("accept", "the handshake's answer", _accepted, LISTEN, open_and_leave, ACCEPTING),
    row(
        "subprotocol",
        "the subprotocol that the app chose",
        answer_has(b"sec-websocket-protocol", b"two"),
        [*FIRST, ["send", {"type": "websocket.accept", "subprotocol": "two"}], ["disconnect", 1.0]],
        open_and_leave,
        ACCEPTING,
        handshake((b"Sec-WebSocket-Protocol", b"one, two")),
    ),
    row(
        "accept-headers",
        "headers of the app's in the handshake",
        answer_has(b"x-accepted", b"1", b"2"),
        [
            *FIRST,
            ["send", {"type": "websocket.accept", "headers": [(b"x-accepted", b"1"), (b"x-accepted", b"2")]}],
            ["disconnect", 1.0],
        ],
        open_and_leave,
        ACCEPTING,
    ),
    row(
        "refuse",
        "a close before the accept is 403",
        refused_with(403),
        [*FIRST, ["send", END]],
        connect,
        CLOSING,
    ),
    row(
        "denial",
        "websocket.http.response, where it is advertised",
        _denied,
        DENIAL,
        ask,
        "ASGI extensions, Websocket Denial Response",
    ),
    row("return-first", "an app that returns before it accepts", _not_opened, FIRST, connect, SCOPE),
    row("raise-first", "an exception before the accept", _not_opened, [*FIRST, ["raise"]], connect, ERRORS),
    row("text", "a text message", receives("text", "hello"), ECHO, send_and_read(HELLO), RECEIVE),
    row(
        "bytes",
        "a binary message",
        receives("bytes", b"\x00\xff"),
        ECHO,
        send_and_read(RawFrame(BINARY, b"\x00\xff")),
        RECEIVE,
    ),
    row("empty", "an empty text", receives("text", ""), ECHO, send_and_read(RawFrame(TEXT, b"")), RECEIVE),
    row(
        "fragments",
        "a message in three frames is one",
        receives("text", "one two three"),
        ECHO,
        send_and_read(
            RawFrame(TEXT, b"one ", is_last=False),
            RawFrame(CONTINUATION, b"two ", is_last=False),
            RawFrame(CONTINUATION, b"three"),
        ),
        "ASGI WebSocket",
    ),
    row(
        "large",
        "a message of 300,000 bytes",
        _large,
        LISTEN,
        send_and_read(RawFrame(BINARY, bytes(300_000)), count=0),
        RECEIVE,
    ),
    row(
        "send-text",
        "a text that the app sends",
        echoed(TEXT, "hällo".encode()),
        ECHO,
        send_and_read(RawFrame(TEXT, "hällo".encode())),
        SEND,
    ),
    row(
        "send-bytes",
        "bytes that the app sends",
        echoed(BINARY, b"\x00\xff"),
        ECHO,
        send_and_read(RawFrame(BINARY, b"\x00\xff")),
        SEND,
    ),
    row(
        "ping",
        "a ping is the server's to answer",
        _pong,
        LISTEN,
        send_and_read(RawFrame(PING, b"are you there")),
        "ASGI WebSocket",
    ),
    row(
        "close-code",
        "the client closes with a code",
        disconnects(4001, reason="enough"),
        LISTEN,
        close_with(4001, "enough"),
        DISCONNECT,
    ),
    row(
        "close-no-code",
        "the client closes without a code",
        disconnects(1005),
        LISTEN,
        close_with(None),
        DISCONNECT,
    ),
    row("vanish", "the client vanishes", disconnects(1005, 1006), LISTEN, vanish, DISCONNECT),
    row("close", "the app closes", closes_with(1000), [*OPEN, ["send", END]], await_close, CLOSING),
    row(
        "close-with",
        "the app closes with a code and a reason",
        closes_with(4002, reason="done"),
        [*OPEN, ["send", {**END, "code": 4002, "reason": "done"}]],
        await_close,
        CLOSING,
    ),
    row(
        "after-close",
        "receive() after the app's close",
        disconnects(1000, 1005, 1006),
        [*OPEN, ["send", END], ["receive", 1.5]],
        await_close,
        DISCONNECT,
    ),
    row(
        "send-after-close",
        "send() after the app's close",
        _quiet,
        [*OPEN, ["send", END], ["attempt", SAY]],
        await_close,
        GONE,
        level="SHOULD",
    ),
    row(
        "send-after-gone",
        "send() after the client's close",
        _quiet,
        [*LISTEN, ["attempt", SAY]],
        close_with(1000),
        GONE,
        level="SHOULD",
    ),
    row(
        "send-after-vanish",
        "send() after the client has vanished",
        _quiet,
        [*LISTEN, ["attempt", SAY], ["attempt", SAY]],
        vanish,
        GONE,
        level="SHOULD",
    ),
    row("return", "an app that returns", opened(_ends), OPEN, await_close, SCOPE),
    row(
        "raise", "an exception in an open connection", opened(_ends), [*OPEN, ["raise"]], await_close, ERRORS
    ),
    row(
        "accept-twice",
        "two accepts",
        raises,
        [*OPEN, ["attempt", {"type": "websocket.accept"}]],
        await_close,
        ERRORS,
        level="SHOULD",
    ),
    row(
        "send-first",
        "a message before the accept",
        _early_send,
        [*FIRST, ["attempt", SAY], ["attempt", {"type": "websocket.accept"}]],
        await_close,
        CONNECT,
        level="SHOULD",
    ),
    row(
        "send-nothing",
        "a message without text or bytes",
        raises,
        [*OPEN, ["attempt", {"type": "websocket.send"}]],
        await_close,
        SEND,
        level="SHOULD",
    ),
    row(
        "send-both",
        "a message with text and bytes",
        raises,
        [*OPEN, ["attempt", {**SAY, "bytes": b"too"}]],
        await_close,
        SEND,
        level="SHOULD",
    ),
    row(
        "send-wrong",
        "bytes as text",
        raises,
        [*OPEN, ["attempt", {"type": "websocket.send", "text": b"said"}]],
        await_close,
        ERRORS,
        level="SHOULD",
    ),
    row(
        "unknown",
        "an unknown type",
        raises,
        [*OPEN, ["attempt", {"type": "websocket.nonsense"}]],
        await_close,
        ERRORS,
        level="SHOULD",
    ),
    row(
        "http",
        "an event of HTTP",
        raises,
        [*OPEN, ["attempt", {"type": "http.response.start", "status": 200}]],
        await_close,
        ERRORS,
        level="SHOULD",
    ),
)
