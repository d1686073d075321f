"""The connection: staying open, closing, pipelining, Expect and Upgrade."""

from __future__ import annotations

from bench.wire.conformance import shown
from remote.onhost.conformance.http1.probe import (
    AFTER,
    HOST,
    SMUGGLED_GET,
    Http1Probe,
    Judged,
    ProbedSubject,
    ProbeOutcome,
    Wanted,
    get,
    inspected,
    post,
    posted,
    serves,
)

PERSISTS = "RFC 9112 §9.3"
CLOSES = "RFC 9112 §9.6"
PIPELINE = "RFC 9112 §9.3.2"
EXPECT = "RFC 9110 §10.1.1"
EXPECTING = b"POST /first HTTP/1.1\r\nHost: @HOST@\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
UPGRADE = "RFC 9110 §7.8"
SOCKET = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
TO_SOCKET = b"Connection: Upgrade\r\n" + SOCKET
ONE = b"GET /answer/slow HTTP/1.1\r\nHost: @HOST@\r\n\r\n"
TWO = b"GET /first HTTP/1.1\r\nHost: @HOST@\r\n\r\n"
LARGE = 256 * 1024


def _closes(outcome: ProbeOutcome) -> Judged:
    """§9.6: after the option close a server MUST close, and MUST NOT process further requests."""
    if outcome.answers.statuses[:1] != (200,):
        return "violates", f"it isn’t served: {shown(outcome.received, 60)}"
    if outcome.end == "open":
        return "violates", "it keeps the connection open"
    said = (outcome.answers.finals[0].field("connection") or "").lower()
    if "close" not in said:
        return "weak", "it closes, but its answer doesn’t say so"
    return "conforms", "it answers, says so and closes"


def _ignores_the_rest(outcome: ProbeOutcome) -> Judged:
    """§9.6: a server MUST NOT process further requests after the option close."""
    if outcome.goes_on:
        return "violates", "it serves a further request on the connection"
    return "conforms", f"it doesn’t serve what follows; answered with {outcome.answers.statuses}"


def _after_close_of_app(outcome: ProbeOutcome) -> Judged:
    """§9.6: a server that sends the option close MUST close after the answer that has it."""
    first = outcome.answers.finals[0] if outcome.answers.finals else None
    if first is None or first.status != 200:
        return "violates", f"it isn’t served: {shown(outcome.received, 60)}"
    says_so = "close" in (first.field("connection") or "").lower()
    if not says_so:
        return "allowed", "it leaves the app’s Connection: close out"
    if outcome.goes_on or outcome.end == "open":
        return "violates", "its answer has Connection: close, and it doesn’t close"
    return "conforms", "it closes after the answer that says so"


def _in_order(outcome: ProbeOutcome) -> Judged:
    bodies = [one.body for one in outcome.answers.finals]
    wanted = [b"GET /answer/slow", b"GET /first", b"GET /after"]
    if bodies == wanted:
        return "conforms", "it answers in the order of the requests"
    if sorted(bodies) == sorted(wanted):
        return "violates", "it answers in another order than that of the requests"
    return "weak", f"it answers {len(bodies)} of 3 requests"


def _continues(outcome: ProbeOutcome) -> Judged:
    """§10.1.1: it MUST send 100 or a final status before the body comes."""
    early = outcome.step_received[0] if outcome.step_received else b""
    if not early:
        return "violates", "it sends nothing and waits for the body"
    if not early.startswith(b"HTTP/1.1 100"):
        return "allowed", f"it doesn’t ask for the body: {shown(early, 40)}"
    if [one.body for one in outcome.complete[:1]] == ["hello"] and outcome.goes_on:
        return "conforms", "it sends 100 before the body, and serves what follows"
    return "violates", f"it sends 100, and then {outcome.answers.statuses}"


def _expects_with_1_0(outcome: ProbeOutcome) -> Judged:
    first = outcome.answers.finals[0] if outcome.answers.finals else None
    if outcome.received.startswith(b"HTTP/1.1 100") or outcome.received.startswith(b"HTTP/1.0 100"):
        return "violates", "it sends 100 to a client of HTTP/1.0"
    if first is None or first.status != 200:
        return "weak", f"it isn’t served: {shown(outcome.received, 60)}"
    return "conforms", "it ignores it"


def _no_switch(outcome: ProbeOutcome) -> Judged:
    if 101 in outcome.answers.statuses:
        return "violates", "it switches protocols"
    if outcome.answers.statuses:
        return "conforms", f"it answers with {outcome.answers.statuses[0]} and switches nothing"
    return "conforms", f"it switches nothing, and the connection is {outcome.end}"


def _unread(outcome: ProbeOutcome) -> Judged:
    """§9.3: to go on, a server MUST read the whole body or close."""
    if outcome.answers.statuses[:1] != (200,):
        return "weak", f"the answer doesn’t arrive: {shown(outcome.received, 60) or outcome.end}"
    if outcome.goes_on:
        return "conforms", "it reads the body that the app left, and serves what follows"
    return "conforms", "it answers and closes"


def _large() -> Http1Probe:
    body = (SMUGGLED_GET * (LARGE // len(SMUGGLED_GET) + 1))[:LARGE]
    sent = (
        b"POST /answer/unread HTTP/1.1\r\nHost: @HOST@\r\nContent-Length: %d\r\n\r\n" % LARGE + body + AFTER
    )
    return inspected(
        "unread-large",
        "a body of 256 KiB of requests that the app doesn’t read",
        PERSISTS,
        "MUST",
        sent,
        _unread,
    )


def _unread_small() -> Http1Probe:
    head = b"POST /answer/unread HTTP/1.1\r\nHost: @HOST@\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED_GET)
    return inspected(
        "unread-small",
        "a body that is a request and that the app doesn’t read",
        PERSISTS,
        "MUST",
        head + SMUGGLED_GET + AFTER,
        _unread,
    )


def _unread_chunked() -> Http1Probe:
    head = b"POST /answer/unread HTTP/1.1\r\nHost: @HOST@\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED_GET), SMUGGLED_GET)
    return inspected(
        "unread-chunked",
        "a chunk that is a request and that the app doesn’t read",
        PERSISTS,
        "MUST",
        head + body + AFTER,
        _unread,
    )


def _closing(name: str, title: str, line: bytes) -> Http1Probe:
    return inspected(name, title, CLOSES, "MUST", get(HOST, line, after=b""), _closes)


def _not_switching(name: str, title: str, rule: str, sent: bytes) -> Http1Probe:
    return inspected(name, title, rule, "MUST", sent, _no_switch)


SUBJECT = ProbedSubject(
    "Connections",
    90,
    (
        serves(
            "persists",
            "two requests, the second after the first one’s answer",
            PERSISTS,
            (TWO, AFTER),
            level="SHOULD",
        ),
        _closing("close", "Connection: close", b"Connection: close\r\n"),
        _closing("close-upper-case", "Connection: CLOSE", b"Connection: CLOSE\r\n"),
        inspected(
            "close-and-more",
            "a request after one with Connection: close",
            CLOSES,
            "MUST",
            get(HOST, b"Connection: close\r\n"),
            _ignores_the_rest,
        ),
        _closing("close-in-list", "close in a list of options", b"Connection: x-test, close\r\n"),
        _closing(
            "close-lines", "close on a second Connection line", b"Connection: x-test\r\nConnection: close\r\n"
        ),
        inspected(
            "close-by-app",
            "an answer of the app with Connection: close",
            CLOSES,
            "MUST",
            get(line=b"GET /answer/close HTTP/1.1"),
            _after_close_of_app,
        ),
        inspected(
            "pipeline-order",
            "three requests at once, the first of which takes longest",
            PIPELINE,
            "MUST",
            ONE + TWO + AFTER,
            _in_order,
        ),
        serves(
            "pipeline-bodies",
            "three requests at once with bodies of both kinds",
            PIPELINE,
            post(
                b"Content-Length: 5\r\n",
                after=post(b"Transfer-Encoding: chunked\r\n", body=b"3\r\ntwo\r\n0\r\n\r\n"),
            ),
            (posted(), posted(b"two")),
        ),
        serves(
            "pipeline-20", "20 requests at once", PIPELINE, TWO * 20 + AFTER, (Wanted(),) * 20, level="SHOULD"
        ),
        inspected(
            "expect",
            "Expect: 100-continue, and the body later",
            EXPECT,
            "MUST",
            (EXPECTING, b"hello" + AFTER),
            _continues,
        ),
        serves(
            "expect-at-once",
            "Expect: 100-continue with the body at once",
            EXPECT,
            EXPECTING + b"hello" + AFTER,
            posted(),
        ),
        serves(
            "expect-upper-case",
            "Expect: 100-Continue, which has no case",
            EXPECT,
            EXPECTING.replace(b"100-continue", b"100-Continue") + b"hello" + AFTER,
            posted(),
        ),
        serves(
            "expect-no-body",
            "Expect: 100-continue without a body",
            EXPECT,
            get(HOST, b"Expect: 100-continue\r\n"),
            level="MAY",
        ),
        serves(
            "expect-other",
            "an expectation that nobody has",
            EXPECT,
            get(HOST, b"Expect: x-test\r\n"),
            level="MAY",
        ),
        inspected(
            "expect-1.0",
            "Expect: 100-continue with HTTP/1.0, which is to be ignored",
            EXPECT,
            "MUST",
            EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0") + b"hello",
            _expects_with_1_0,
        ),
        serves(
            "upgrade-unknown",
            "an Upgrade to a protocol that nobody has, which is to be ignored",
            UPGRADE,
            get(HOST, b"Connection: Upgrade\r\nUpgrade: x-test/1.0\r\n"),
            goes_on=None,
        ),
        _not_switching(
            "upgrade-no-option",
            "a WebSocket’s Upgrade without Connection: Upgrade",
            "RFC 6455 §4.2.1",
            get(HOST, SOCKET),
        ),
        _not_switching(
            "upgrade-1.0",
            "a WebSocket’s Upgrade with HTTP/1.0",
            UPGRADE,
            get(HOST, TO_SOCKET, line=b"GET /first HTTP/1.0"),
        ),
        _not_switching(
            "upgrade-post",
            "a WebSocket’s Upgrade with POST",
            "RFC 6455 §4.2.1",
            post(TO_SOCKET, b"Content-Length: 5\r\n"),
        ),
        _not_switching(
            "upgrade-no-key",
            "a WebSocket’s Upgrade without a key",
            "RFC 6455 §4.2.1",
            get(HOST, b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
        ),
        _not_switching(
            "upgrade-version",
            "a WebSocket’s Upgrade of a version that nobody has",
            "RFC 6455 §4.4",
            get(HOST, TO_SOCKET.replace(b"13", b"99")),
        ),
        _unread_small(),
        _unread_chunked(),
        _large(),
    ),
)
