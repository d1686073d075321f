"""Clients that go: what the app hears of it, and what becomes of what it sends then."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

from remote.onhost.conformance.asgi.exchange import AsgiExchange, AsgiObserved, Asked
from remote.onhost.conformance.asgi.probe import (
    READ,
    AsgiProbe,
    AsgiVerdict,
    allowed,
    body,
    conforms,
    may_refuse,
    text,
    violates,
    weak,
)
from remote.onhost.conformance.asgi.probes.http_request import CHUNKED, with_length
from testapp.proving.record import Noted, Repeated
from testapp.proving.steps import Step

RULE = "ASGI HTTP, Disconnect - receive event"
SEND_RULE = "ASGI HTTP, Disconnected Client - send exception"
PIECE = body(b"0123456789", more=True)
BLOCK = body(Repeated(b"0123456789abcdef", 4_096), more=True)
STREAM: list[Step] = [*READ, ["send", text()], ["send", PIECE]]
SINCE_RAISING = (2, 4)
"""The version of the specification since which send() should raise."""


def is_received(note: Noted) -> bool:
    return note.what == "received"


def go(exchange: AsgiExchange, *, reset: bool = False) -> None:
    """Close, so that the server's system hears of it at once."""
    if reset:
        exchange.wire.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.wire.close()


def leave_before_answer(exchange: AsgiExchange) -> None:
    exchange.wire.send(exchange.request)
    exchange.until_noted(is_received)
    go(exchange)
    exchange.until_ended(3.0)


def reset_before_answer(exchange: AsgiExchange) -> None:
    exchange.wire.send(exchange.request)
    exchange.until_noted(is_received)
    go(exchange, reset=True)
    exchange.until_ended(3.0)


def leave_in_answer(exchange: AsgiExchange) -> None:
    exchange.wire.send(exchange.request)
    exchange.wire.read_until(lambda received: b"0123456789" in received, 1.5)
    go(exchange)
    exchange.until_ended(4.0)


def leave_early(exchange: AsgiExchange) -> None:
    exchange.wire.send(exchange.request)
    exchange.until_noted(lambda one: one.what == "scope")
    go(exchange)
    exchange.until_ended(3.0)


def hears(observed: AsgiObserved) -> AsgiVerdict:
    if "http.disconnect" in observed.kinds:
        return conforms("the app hears http.disconnect")
    return violates("the app hears nothing of it")


def _cut_short(observed: AsgiObserved) -> AsgiVerdict:
    if observed.noted("body"):
        return violates("the app is given the body as if it were whole")
    return hears(observed)


def _unread_cut(observed: AsgiObserved) -> AsgiVerdict:
    return may_refuse(observed) if observed.status else allowed("it waits for the whole body, and drops it")


def _after_gone(observed: AsgiObserved) -> AsgiVerdict:
    """What sending raises to an app that has heard of it."""
    if "http.disconnect" not in observed.kinds:
        return violates("the app hears nothing of it")
    if not observed.outcome:
        return violates("send() does not return")
    return _raised(observed)


def _raised(observed: AsgiObserved) -> AsgiVerdict:
    refused = observed.noted("refused")
    if refused:
        shown = observed.refusals[0]
        if "OSError" in refused[0].more["classes"]:
            return conforms(f"send() raises {shown}")
        return weak(f"send() raises {shown}, which is no OSError")
    if observed.spec_version >= SINCE_RAISING:
        version = ".".join(map(str, observed.spec_version))
        return weak(f"send() does nothing, though the server says version {version}")
    return conforms("send() does nothing, as before version 2.4")


def _poured(observed: AsgiObserved) -> AsgiVerdict:
    if observed.noted("send waits") or not observed.outcome:
        return violates("send() waits for ever")
    return _raised(observed)


def _goes_on(observed: AsgiObserved) -> AsgiVerdict:
    ways = {"cancelled": "the app's call is cancelled", "returned": "the app's call goes on to its end"}
    if observed.outcome in ways:
        return conforms(ways[observed.outcome])
    return violates(f"the app's call ends with {observed.outcome or 'nothing'}")


def _stays_together(observed: AsgiObserved) -> AsgiVerdict:
    if "http.disconnect" not in observed.kinds:
        return violates("a task that waits in receive() hears nothing of it")
    return conforms("a task that waits in receive() hears of it while another sends")


def row(name: str, title: str, judge: Callable[[AsgiObserved], AsgiVerdict], **more: Any) -> AsgiProbe:
    rule = more.pop("rule", RULE)
    return AsgiProbe(f"disconnect-{name}", "Clients that go", title, rule, judge, **more)


PROBES = (
    row(
        "before-answer",
        "the client closes while the app waits",
        hears,
        steps=[*READ, ["disconnect", 2.0]],
        client=leave_before_answer,
    ),
    row(
        "reset",
        "the client resets the connection while the app waits",
        hears,
        steps=[*READ, ["disconnect", 2.0]],
        client=reset_before_answer,
    ),
    row(
        "in-body",
        "the client closes in the midst of its body",
        _cut_short,
        asked=with_length(b"only a part", 100),
        steps=[["body", 2.0]],
        client=leave_early,
        unreached=_unread_cut,
    ),
    row(
        "in-chunk",
        "the client closes in the midst of a chunked body",
        _cut_short,
        asked=Asked("POST", headers=CHUNKED, body=b"5\r\nhello\r\n5\r\nwo"),
        steps=[["body", 2.0]],
        client=leave_early,
        unreached=_unread_cut,
    ),
    row(
        "in-answer",
        "the client closes in the midst of the answer",
        hears,
        steps=[*STREAM, ["disconnect", 2.0]],
        client=leave_in_answer,
    ),
    row(
        "send-after",
        "send() after http.disconnect",
        _after_gone,
        level="SHOULD",
        steps=[*STREAM, ["disconnect", 2.0], ["attempt", PIECE], ["attempt", body(b"")]],
        client=leave_in_answer,
        rule=SEND_RULE,
    ),
    row(
        "send-first-after",
        "send() after http.disconnect, where nothing was sent before",
        _after_gone,
        level="SHOULD",
        steps=[*READ, ["disconnect", 2.0], ["attempt", text()], ["attempt", body()]],
        client=leave_before_answer,
        rule=SEND_RULE,
    ),
    row(
        "pour",
        "an app that only sends, to a client that has gone",
        _poured,
        level="SHOULD",
        steps=[*STREAM, ["pour", BLOCK, 400, 3.0]],
        client=leave_in_answer,
        rule=SEND_RULE,
    ),
    row(
        "goes-on",
        "an app that neither receives nor sends is cancelled or goes on",
        _goes_on,
        level="MAY",
        steps=[*READ, ["sleep", 0.5]],
        client=leave_before_answer,
        rule="ASGI, Error Handling",
    ),
    row(
        "together",
        "one task receives while another sends",
        _stays_together,
        steps=[*READ, ["send", text()], ["together", [["disconnect", 2.0]], [["pour", PIECE, 20_000, 2.0]]]],
        client=leave_in_answer,
    ),
)
