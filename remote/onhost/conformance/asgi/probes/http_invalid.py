"""Events that no app may send: the server should raise, and nothing of them may reach the wire."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from remote.onhost.conformance.asgi.exchange import AsgiObserved
from remote.onhost.conformance.asgi.probe import (
    READ,
    AsgiProbe,
    AsgiVerdict,
    allowed,
    body,
    conforms,
    length,
    outcome,
    text,
    violates,
    weak,
)
from testapp.proving.steps import Step

RULE = "ASGI, Error Handling"
START = "http.response.start"
STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9] ")
INJECTED = re.compile(rb"\r\n[ \t]*x-injected[ \t]*:", re.IGNORECASE)


def raises(observed: AsgiObserved) -> AsgiVerdict:
    """Best out of ``send``, where the app hears of it; what is on the wire must be HTTP all the same."""
    received = bytes(observed.exchange.wire.received)
    if received and not STATUS_LINE.match(received):
        return violates(f"what it sends is no HTTP: {received[:60]!r}")
    if INJECTED.search(received):
        return violates("the value ends its line, and begins a header of its own")
    if observed.refusals:
        return conforms(f"send() raises {observed.refusals[0]:.120}")
    if not received and not observed.ended:
        return violates("the client waits, and the app hears nothing")
    if observed.status == 500 or observed.ended:
        return weak(f"send() does not raise; {outcome(observed)}")
    return weak(f"it is accepted: {outcome(observed)}, {received[:200]!r:.200}")


def keeps_lines(observed: AsgiObserved) -> AsgiVerdict:
    """Of a header that would end its line: raised at, or made harmless."""
    verdict = raises(observed)
    if verdict.judgement == "weak" and observed.answer is not None and observed.status != 500:
        return allowed(f"it is made harmless: {verdict.why}")
    return verdict


def no_bare_body(observed: AsgiObserved) -> AsgiVerdict:
    received = bytes(observed.exchange.wire.received)
    if received and not STATUS_LINE.match(received):
        return violates(f"the body is sent without a head: {received[:60]!r}")
    return raises(observed)


def row(
    name: str,
    title: str,
    steps: list[Step],
    judge: Callable[[AsgiObserved], AsgiVerdict] = raises,
    **more: Any,
) -> AsgiProbe:
    return AsgiProbe(
        f"invalid-{name}",
        "Invalid events",
        title,
        more.pop("rule", RULE),
        judge,
        "SHOULD",
        [*READ, *steps],
        **more,
    )


def bad_start(name: str, title: str, **changed: Any) -> AsgiProbe:
    return row(name, title, [["send", text(length(2)) | changed], ["send", body()]])


def bad_header(
    name: str, title: str, key: Any, value: Any, judge: Callable[[AsgiObserved], AsgiVerdict] = raises
) -> AsgiProbe:
    headers = [(b"content-length", b"2"), (key, value)]
    return row(name, title, [["send", text() | {"headers": headers}], ["send", body()]], judge)


def bad_body(name: str, title: str, **changed: Any) -> AsgiProbe:
    return row(name, title, [["send", text(length(2))], ["send", body() | changed]])


PROBES = (
    row("type", "an unknown type", [["send", {"type": "http.nonsense"}]]),
    row("no-type", "an event without a type", [["send", {}]]),
    row("type-bytes", "a type that is a byte string", [["send", text(length(2)) | {"type": START.encode()}]]),
    row("list", "an event that is a list", [["send", [START, 200]]]),
    row("websocket", "an event of WebSocket", [["send", {"type": "websocket.accept"}]]),
    row("body-first", "a body before the start", [["send", body()]]),
    row(
        "start-twice",
        "two starts",
        [["send", text(length(2))], ["send", text(length(2), status=404)], ["send", body()]],
    ),
    row(
        "no-status", "a start without a status", [["send", {"type": START, "headers": []}], ["send", body()]]
    ),
    bad_start("status-text", "a status that is a text", status="200"),
    bad_start("status-none", "a status that is None", status=None),
    bad_start("status-0", "status 0", status=0),
    bad_start("status-99", "status 99", status=99),
    bad_start("status-1000", "status 1000", status=1000),
    bad_start("headers-none", "headers that are None", headers=None),
    bad_header("name-text", "a header name that is a text", "x-name", b"1"),
    bad_header("value-text", "a header value that is a text", b"x-name", "1"),
    bad_header("value-number", "a header value that is a number", b"x-name", 1),
    row(
        "header-triple",
        "a header of three items",
        [
            ["send", text() | {"headers": [(b"content-length", b"2"), (b"x-name", b"1", b"2")]}],
            ["send", body()],
        ],
    ),
    bad_header("name-empty", "an empty header name", b"", b"1"),
    bad_header("name-space", "a space in a header name", b"x name", b"1"),
    bad_header("name-colon", "a colon in a header name", b"x-name:", b"1"),
    bad_header(
        "name-line", "a header name that ends its line", b"x-name: 1\r\nX-Injected", b"1", keeps_lines
    ),
    bad_header(
        "value-line", "a header value that ends its line", b"x-name", b"1\r\nX-Injected: 1", keeps_lines
    ),
    bad_header("value-feed", "a line feed in a header value", b"x-name", b"1\nX-Injected: 1", keeps_lines),
    bad_header("value-nul", "a NUL in a header value", b"x-name", b"a\x00b"),
    row(
        "goes-on",
        "an app that catches the exception of its start, and sends a body",
        [["attempt", text() | {"headers": [(b"x-name", "text")]}], ["attempt", body()]],
        no_bare_body,
    ),
    bad_body("body-text", "a body that is a text", body="ok"),
    bad_body("body-none", "a body that is None", body=None),
    bad_body("body-number", "a body that is a number", body=2),
    bad_body("more-body-text", "a more_body that is a text", more_body="no"),
)
