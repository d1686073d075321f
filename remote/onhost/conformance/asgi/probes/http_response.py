"""What comes over the wire of what an app sends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from remote.onhost.conformance.asgi.answer import answer_in
from remote.onhost.conformance.asgi.exchange import AsgiExchange, AsgiObserved, Asked
from remote.onhost.conformance.asgi.probe import (
    ANSWER,
    READ,
    AsgiProbe,
    AsgiVerdict,
    allowed,
    ask_and_stay,
    body,
    conforms,
    length,
    outcome,
    text,
    violates,
    weak,
)
from remote.onhost.conformance.asgi.probes.http_request import with_length
from testapp.proving.record import Repeated
from testapp.proving.steps import Step

START = "ASGI HTTP, Response Start - send event"
BODY = "ASGI HTTP, Response Body - send event"
LARGE_BYTES = 3_000_000
EARLY_SECONDS = 0.4
LATE_SECONDS = 0.8


def sends(*messages: Any) -> list[Step]:
    return [*READ, *(["send", one] for one in messages)]


def answers(right: bytes, status: int = 200) -> Callable[[AsgiObserved], AsgiVerdict]:
    """The whole answer, and its body."""

    def judge(observed: AsgiObserved) -> AsgiVerdict:
        answer = observed.answer
        if answer is None or not answer.is_complete or answer.status != status:
            return violates(f"{outcome(observed)}{_first_refusal(observed)}")
        if answer.body != right:
            return violates(f"the body is {answer.body!r:.80} ({len(answer.body)} bytes)")
        if answer.rest:
            return violates(f"behind the answer came {answer.rest!r:.80}")
        return conforms(f"{outcome(observed)}, with the right body")

    return judge


def _first_refusal(observed: AsgiObserved) -> str:
    return f"; send() raises {observed.refusals[0]}" if observed.refusals else ""


def _encoding_ignored(observed: AsgiObserved) -> AsgiVerdict:
    verdict = answers(b"hello")(observed)
    answer = observed.answer
    if verdict.judgement != "conforms" or answer is None:
        return verdict
    encodings, lengths = answer.values(b"transfer-encoding"), answer.values(b"content-length")
    if len(encodings) > 1 or (encodings and lengths):
        return violates(f"transfer-encoding {encodings!r} and content-length {lengths!r} are both sent")
    return conforms(f"the body is framed once, by {answer.framing}")


def _not_chunked(observed: AsgiObserved) -> AsgiVerdict:
    answer = observed.answer
    if answer is not None and answer.framing == "chunked":
        return violates("it sends chunks to an HTTP/1.0 client, which RFC 9112 §6.1 forbids")
    return answers(b"onetwo")(observed)


def _order(observed: AsgiObserved) -> AsgiVerdict:
    names = (b"set-cookie", b"x-one")
    answer = observed.answer
    found = [] if answer is None else [pair for pair in answer.headers if pair[0] in names]
    right = [(b"set-cookie", b"a=1"), (b"x-one", b"1"), (b"set-cookie", b"b=2"), (b"x-one", b"2")]
    return (conforms if found == right else violates)(f"they come as {found!r:.160}")


def _read_early(exchange: AsgiExchange) -> None:
    began = time.monotonic()
    exchange.wire.send(exchange.request)
    exchange.wire.read_until(lambda received: b"first" in received, EARLY_SECONDS)
    exchange.facts["early"] = b"first" in exchange.wire.received
    exchange.facts["seconds"] = time.monotonic() - began
    exchange.read_answer()


def _flushed(observed: AsgiObserved) -> AsgiVerdict:
    verdict = answers(b"firstsecond")(observed)
    if verdict.judgement != "conforms":
        return verdict
    if observed.facts["early"]:
        return conforms("the first part comes before the second is sent")
    return violates("the first part is held back until the second is sent")


def _read_whole_early(exchange: AsgiExchange) -> None:
    exchange.wire.send(exchange.request)
    answer = exchange.read_answer(EARLY_SECONDS)
    exchange.facts["early"] = answer is not None and answer.is_complete
    exchange.read_answer()
    exchange.until_ended()


def _answered_early(observed: AsgiObserved) -> AsgiVerdict:
    verdict = answers(b"ok")(observed)
    if verdict.judgement != "conforms":
        return verdict
    if not observed.facts["early"]:
        return violates("the answer is held back until the app's call ends")
    return conforms(f"the answer comes at once; then the app's call is {observed.outcome or 'not ended'}")


def ignored(right: bytes) -> Callable[[AsgiObserved], AsgiVerdict]:
    """Further messages must be ignored: neither raised at nor sent."""

    def judge(observed: AsgiObserved) -> AsgiVerdict:
        verdict = answers(right)(observed)
        if verdict.judgement != "conforms":
            return verdict
        if observed.refusals:
            return weak(
                f"nothing of it is sent, but send() raises {observed.refusals[0]} instead of ignoring it"
            )
        return conforms("it is ignored")

    return judge


def _bare(status: int) -> Callable[[AsgiObserved], AsgiVerdict]:
    """An answer that can't have a body, and another behind it."""

    def judge(observed: AsgiObserved) -> AsgiVerdict:
        answer = observed.answer
        if answer is None or answer.status != status:
            return violates(f"{outcome(observed)}{_first_refusal(observed)}")
        behind = observed.facts.get("second", b"")
        sent = answer.rest.removesuffix(behind) if behind else answer.rest
        if sent:
            return violates(f"behind its head came {sent!r:.60}, which a client takes for the next answer")
        if status == 204 and (answer.values(b"content-length") or answer.values(b"transfer-encoding")):
            return violates("a 204 has a Content-Length or Transfer-Encoding, which RFC 9110 §8.6 forbids")
        second = answer_in(behind, "GET", ended=True)
        if second is None or second.body != b"ok":
            return (
                allowed("no body is sent, and the connection is closed")
                if observed.ended
                else violates(f"the next answer on the connection is {behind!r:.60}")
            )
        return conforms("no body is sent, and the next answer is right")

    return judge


def _ask_two(exchange: AsgiExchange) -> None:
    exchange.wire.send(exchange.request)
    exchange.wire.read_until(lambda received: b"\r\n\r\n" in received, 1.5)
    exchange.wire.read_for(0.15)
    begin = len(exchange.wire.received)
    exchange.wire.send(exchange.further("second", [*READ, *ANSWER]))
    exchange.wire.read_until(lambda received: received[begin:].endswith(b"ok"), 1.5)
    exchange.facts["second"] = bytes(exchange.wire.received[begin:])


def _too_short(observed: AsgiObserved) -> AsgiVerdict:
    answer = observed.answer
    if answer is not None and answer.is_complete and answer.status == 200:
        return violates(f"it makes a whole answer of it: {answer.body!r:.60}")
    if not observed.ended and (answer is None or not answer.is_complete):
        return violates("it leaves the client waiting for the rest")
    return conforms(outcome(observed))


def _too_long(observed: AsgiObserved) -> AsgiVerdict:
    answer = observed.answer
    if answer is not None and answer.rest:
        return violates(
            f"behind the answer came {answer.rest!r:.60}, which a client takes for the next answer"
        )
    if answer is None and not observed.ended:
        return violates("nothing is answered")
    raised = _first_refusal(observed)
    return conforms(f"nothing is sent beyond the length{raised}")


def _no_length(observed: AsgiObserved) -> AsgiVerdict:
    answer = observed.answer
    if observed.refusals:
        return conforms(f"send() raises {observed.refusals[0]}")
    if answer is not None and b"abc" in answer.values(b"content-length"):
        return weak("it sends Content-Length: abc")
    return (
        conforms(outcome(observed))
        if observed.ended or answer is not None
        else violates("nothing is answered")
    )


def _post_slowly(exchange: AsgiExchange) -> None:
    """The head with a part of the body; the rest once the answer has come."""
    content = exchange.asked.body
    exchange.wire.send(exchange.request[: -len(content) // 2])
    exchange.read_answer()
    exchange.wire.send(content[len(content) // 2 :])


def _waits_for_body(observed: AsgiObserved) -> AsgiVerdict:
    return allowed("it calls the app once the whole body is there")


def _smuggle(exchange: AsgiExchange) -> None:
    """The body is a request itself."""
    hidden = exchange.further("hidden", [*READ, *ANSWER])
    exchange.asked = with_length(hidden)
    exchange.wire.send(exchange.request)
    exchange.read_answer()
    exchange.wire.read_for(0.3)


def _not_smuggled(observed: AsgiObserved) -> AsgiVerdict:
    if observed.exchange.notes("hidden"):
        return violates("the body that the app left unread is taken for the next request")
    return answers(b"ok")(observed)


def _together(observed: AsgiObserved) -> AsgiVerdict:
    verdict = answers(b"onetwo")(observed)
    if verdict.judgement == "conforms" and "http.disconnect" not in observed.kinds:
        return weak("the answer is right, but receive() in another task hears nothing of its end")
    return verdict


def row(name: str, title: str, steps: list[Step], judge: object, **more: object) -> AsgiProbe:
    rule = str(more.pop("rule", START))
    return AsgiProbe(f"response-{name}", "HTTP response", title, rule, judge, steps=steps, **more)  # type: ignore[arg-type]


TEN = (text(length(10)), body(b"short"))
EXTRA = {"asgibench.extra": 1}

PROBES = (
    row(
        "no-length",
        "without a content-length",
        sends(text(), body(b"one", more=True), body(b"two")),
        answers(b"onetwo"),
    ),
    row(
        "http-1.0",
        "without a content-length, to an HTTP/1.0 client",
        sends(text(), body(b"one", more=True), body(b"two")),
        _not_chunked,
        asked=Asked(version=b"HTTP/1.0"),
        rule="RFC 9112 §6.1; ASGI HTTP, Response Start - send event",
    ),
    row(
        "encoding",
        "a transfer-encoding of the app's is ignored",
        sends(text((b"transfer-encoding", b"chunked")), body(b"hello")),
        _encoding_ignored,
    ),
    row(
        "encoding-and-length",
        "and so it is beside a content-length",
        sends(text((b"transfer-encoding", b"chunked"), length(5)), body(b"hello")),
        _encoding_ignored,
    ),
    row(
        "order",
        "headers in their order, and none joined",
        sends(
            text(
                (b"set-cookie", b"a=1"),
                (b"x-one", b"1"),
                (b"set-cookie", b"b=2"),
                (b"x-one", b"2"),
                length(2),
            ),
            body(),
        ),
        _order,
    ),
    row(
        "no-headers",
        "a start without headers",
        sends({"type": "http.response.start", "status": 200}, body()),
        answers(b"ok"),
    ),
    row(
        "no-body-key",
        "a body event without a body",
        sends(text(length(0)), {"type": "http.response.body"}),
        answers(b""),
        rule=BODY,
    ),
    row("status", "an unusual status", sends(text(length(2), status=418), body()), answers(b"ok", 418)),
    row(
        "pieces",
        "several body events are joined",
        sends(
            text(length(6)), body(b"ab", more=True), body(b"", more=True), body(b"cd", more=True), body(b"ef")
        ),
        answers(b"abcdef"),
        rule=BODY,
    ),
    row(
        "flush",
        "each part is sent before the next",
        [
            *sends(text(length(11)), body(b"first", more=True)),
            ["sleep", LATE_SECONDS],
            ["send", body(b"second")],
        ],
        _flushed,
        client=_read_early,
        rule=BODY,
    ),
    row(
        "large",
        "3,000,000 bytes in one event",
        sends(text(length(LARGE_BYTES)), body(Repeated(b"0123456789", LARGE_BYTES // 10))),
        answers(b"0123456789" * (LARGE_BYTES // 10)),
        rule=BODY,
    ),
    row(
        "extra-keys",
        "keys that it doesn't know",
        sends(text(length(2)) | EXTRA, body() | EXTRA),
        answers(b"ok"),
        rule="ASGI, Error Handling",
    ),
    row(
        "early",
        "the answer comes before the app's call ends",
        [*READ, *ANSWER, ["sleep", LATE_SECONDS]],
        _answered_early,
        client=_read_whole_early,
        rule=BODY,
    ),
    row(
        "second-body",
        "a body event behind the last is ignored",
        [*READ, *ANSWER, ["attempt", body(b"more")]],
        ignored(b"ok"),
        client=ask_and_stay,
        rule=BODY,
    ),
    row(
        "second-start",
        "a second response behind the first is ignored",
        [*READ, *ANSWER, ["attempt", text(length(2))], ["attempt", body(b"no")]],
        ignored(b"ok"),
        client=ask_and_stay,
        rule=BODY,
    ),
    row(
        "head",
        "HEAD: no body is sent",
        [*READ, *ANSWER],
        _bare(200),
        asked=Asked("HEAD"),
        client=_ask_two,
        rule="RFC 9110 §9.3.2",
    ),
    row(
        "204",
        "204 with a body: it is not sent",
        sends(text(status=204), body()),
        _bare(204),
        client=_ask_two,
        rule="RFC 9110 §15.3.5",
    ),
    row(
        "304",
        "304 with a body: it is not sent",
        sends(text(status=304), body()),
        _bare(304),
        client=_ask_two,
        rule="RFC 9110 §15.4.5",
    ),
    row("too-short", "fewer bytes than its content-length", sends(*TEN), _too_short, rule="RFC 9112 §6.3"),
    row(
        "too-long",
        "more bytes than its content-length",
        [*READ, ["send", text(length(2))], ["attempt", body(b"okHTTP/1.1 200 OK\r\n\r\n")]],
        _too_long,
        rule="RFC 9112 §6.3",
    ),
    row(
        "bad-length",
        "a content-length that is no number",
        [*READ, ["attempt", text((b"content-length", b"abc"))], ["attempt", body()]],
        _no_length,
        level="SHOULD",
        rule="RFC 9110 §8.6",
    ),
    row(
        "unread",
        "an app that does not read the body",
        [*ANSWER],
        answers(b"ok"),
        asked=with_length(b"x" * 200_000),
        client=_post_slowly,
        unreached=_waits_for_body,
    ),
    row(
        "unread-request",
        "an unread body that looks like a request",
        [*ANSWER],
        _not_smuggled,
        asked=with_length(b"x"),
        client=_smuggle,
        rule="RFC 9112 §9.3",
    ),
    row(
        "together",
        "one task waits in receive() while another sends",
        [
            *READ,
            [
                "together",
                [["disconnect", 1.2]],
                [["send", text()], ["send", body(b"one", more=True)], ["sleep", 0.1], ["send", body(b"two")]],
            ],
        ],
        _together,
        client=ask_and_stay,
        rule="ASGI HTTP, Disconnect - receive event",
    ),
)
