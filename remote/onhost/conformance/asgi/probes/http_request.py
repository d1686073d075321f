"""The body of an HTTP request, as ``receive`` gives it to the app."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

from remote.onhost.conformance.asgi.exchange import AsgiExchange, AsgiObserved, Asked
from remote.onhost.conformance.asgi.probe import (
    ANSWER,
    READ,
    AsgiProbe,
    AsgiVerdict,
    allowed,
    ask,
    ask_and_stay,
    conforms,
    violates,
)
from testapp.proving.record import LongBytes

RULE = "ASGI HTTP, Request - receive event"
DISCONNECT = "ASGI HTTP, Disconnect - receive event"
HELLO = b"hello, world"
LARGE = bytes(range(256)) * 1_200
PAUSE_SECONDS = 0.4
CHUNKED = ((b"Transfer-Encoding", b"chunked"),)


def with_length(content: bytes, declared: int | None = None) -> Asked:
    size = len(content) if declared is None else declared
    return Asked("POST", headers=((b"Content-Length", str(size).encode()),), body=content)


def of_body(observed: AsgiObserved) -> list[dict[str, object]]:
    return [one for one in observed.received if one.get("type") == "http.request"]


def _empty(observed: AsgiObserved) -> AsgiVerdict:
    if observed.kinds[:1] != ("http.request",):
        return violates(f"the first event is {observed.kinds[:1]!r}")
    first = observed.received[0]
    is_empty = first.get("body", b"") == b"" and not first.get("more_body", False)
    return (conforms if is_empty else violates)(f"the first event is {first!r:.160}")


def body_is(right: bytes) -> Callable[[AsgiObserved], AsgiVerdict]:
    def judge(observed: AsgiObserved) -> AsgiVerdict:
        ends = observed.noted("body")
        if not ends:
            return violates(f"the body does not end: {observed.kinds!r:.120}")
        found = ends[0].more
        fits = found == {"length": len(right), "sha256": hashlib.sha256(right).hexdigest()}
        seen = f"{found['length']} bytes in {len(of_body(observed))} events"
        return conforms(seen) if fits else violates(f"{seen}, which are not those that were sent")

    return judge


def _types(observed: AsgiObserved) -> AsgiVerdict:
    for one in of_body(observed):
        if (
            type(one.get("body", b"")) not in (bytes, LongBytes)
            or type(one.get("more_body", False)) is not bool
        ):
            return violates(f"{one!r:.160}")
    return conforms("body is a byte string, more_body a boolean")


def _more_body(observed: AsgiObserved) -> AsgiVerdict:
    flags = [bool(one.get("more_body", False)) for one in of_body(observed)]
    if flags != [True] * (len(flags) - 1) + [False]:
        return violates(f"more_body was {flags!r:.120}")
    return conforms(f"{len(flags)} events, only the last without more_body")


def _send_in_halves(exchange: AsgiExchange) -> None:
    content = exchange.asked.body
    half = len(content) // 2
    exchange.wire.send(exchange.request[:-half])
    exchange.until_noted(lambda one: one.what == "received", PAUSE_SECONDS)
    exchange.facts["second half"] = time.monotonic()
    exchange.wire.send(content[-half:])
    exchange.read_answer()


def _streamed(observed: AsgiObserved) -> AsgiVerdict:
    verdict = body_is(HELLO)(observed)
    if verdict.judgement != "conforms":
        return verdict
    early = [one for one in observed.noted("received") if one.at < observed.facts["second half"]]
    return (
        conforms("the first half came before the second was sent")
        if early
        else allowed("it waits for the whole")
    )


def _waits(observed: AsgiObserved) -> AsgiVerdict:
    more = observed.kinds[1:]
    if more:
        return violates(f"while the client waits, receive() gives {more!r}")
    return conforms("receive() waits while the client does")


def after_answer(observed: AsgiObserved) -> AsgiVerdict:
    events = [kind for kind in observed.kinds if kind != "http.request"]
    if events[:1] == ["http.disconnect"]:
        return conforms("http.disconnect follows the response")
    return violates("after the response receive() gives nothing" if not events else f"it gives {events!r}")


def _ask_with_expectation(exchange: AsgiExchange) -> None:
    content = exchange.asked.body
    exchange.wire.send(exchange.request[: -len(content)])
    exchange.wire.read_until(lambda received: b"\r\n\r\n" in received, PAUSE_SECONDS)
    exchange.wire.send(content)
    exchange.read_answer()


def row(name: str, title: str, judge: Callable[[AsgiObserved], AsgiVerdict], **more: Any) -> AsgiProbe:
    rule = more.pop("rule", RULE)
    return AsgiProbe(f"request-{name}", "HTTP request body", title, rule, judge, **more)


PROBES = (
    row("none", "no body: one event that is empty and the last", _empty),
    row("whole", "a body with its length", body_is(HELLO), asked=with_length(HELLO)),
    row("types", "the types of body and more_body", _types, asked=with_length(HELLO)),
    row(
        "chunked",
        "a chunked body comes without its framing",
        body_is(HELLO),
        asked=Asked("POST", headers=CHUNKED, body=b"5\r\nhello\r\n7;a=b\r\n, world\r\n0\r\n\r\n"),
    ),
    row(
        "chunked-empty",
        "a chunked body of no bytes",
        body_is(b""),
        asked=Asked("POST", headers=CHUNKED, body=b"0\r\n\r\n"),
    ),
    row("large", "a body of 307,200 bytes", body_is(LARGE), asked=with_length(LARGE)),
    row("more-body", "more_body is set on all events but the last", _more_body, asked=with_length(LARGE)),
    row(
        "halves",
        "a body that comes in two halves",
        _streamed,
        asked=with_length(HELLO),
        client=_send_in_halves,
    ),
    row(
        "expectation",
        "a body behind Expect: 100-continue",
        body_is(HELLO),
        asked=Asked("POST", headers=((b"Content-Length", b"12"), (b"Expect", b"100-continue")), body=HELLO),
        client=_ask_with_expectation,
    ),
    row(
        "waits",
        "receive() waits behind the body",
        _waits,
        steps=[*READ, ["receive", 0.5], *ANSWER],
        client=ask,
        rule=DISCONNECT,
    ),
    row(
        "after-answer",
        "receive() after the response gives http.disconnect",
        after_answer,
        steps=[*READ, *ANSWER, ["receive", 1.2]],
        client=ask_and_stay,
        rule=DISCONNECT,
    ),
    row(
        "after-answer-unread",
        "and so it does where the app has not read the body",
        after_answer,
        steps=[*ANSWER, ["disconnect", 1.2]],
        client=ask_and_stay,
        asked=with_length(HELLO),
        rule=DISCONNECT,
    ),
)
