"""The protocol's version: earlier, later and malformed ones, and what HTTP/1.0 does without."""

from __future__ import annotations

from bench.wire.conformance import shown
from remote.onhost.conformance.http1.probe import (
    ALLOWED,
    HOST,
    Http1Probe,
    Judged,
    ProbedSubject,
    ProbeOutcome,
    Reading,
    get,
    inspected,
    may_refuse,
    serves,
    should_refuse,
)

TWIN = "line-plain"
SETTINGS_TYPE = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def _malformed(name: str, title: str, version: bytes, rule: str = "RFC 9112 §2.3") -> Http1Probe:
    """An invalid request line, which SHOULD be answered with 400 (§3)."""
    return should_refuse(name, title, rule, get(line=b"GET /first " + version), twin=TWIN)


def _closes_after_1_0(outcome: ProbeOutcome) -> Judged:
    """§9.3: without keep-alive "the connection will close after the current response"."""
    if not outcome.complete or outcome.answers.statuses[:1] != (200,):
        return "weak", f"it isn’t served: {shown(outcome.received, 60)}"
    if outcome.end == "open":
        return "weak", "it keeps the connection open"
    return "conforms", "it answers and closes"


def _preface(outcome: ProbeOutcome) -> Judged:
    if outcome.complete:
        return "weak", "the app was given it as a request of HTTP/1.1"
    if len(outcome.received) > 9 and outcome.received[3] == SETTINGS_TYPE:
        return "conforms", "it speaks HTTP/2 and answers with SETTINGS"
    if outcome.answers.statuses:
        return "conforms", f"it refuses with {outcome.answers.statuses[0]}"
    if outcome.end == "open":
        return "weak", "it doesn’t answer and waits for more"
    return "conforms", "it closes the connection"


SUBJECT = ProbedSubject(
    "Versions",
    20,
    (
        inspected(
            "version-1.0",
            "HTTP/1.0, after which the connection ends",
            "RFC 9112 §9.3",
            "SHOULD",
            get(line=b"GET /first HTTP/1.0", after=b""),
            _closes_after_1_0,
        ),
        serves(
            "version-1.0-no-host",
            "HTTP/1.0 without a Host field, which only HTTP/1.1 asks for",
            "RFC 9112 §3.2",
            get(b"X-Test: 1\r\n", line=b"GET /first HTTP/1.0", after=b""),
            level="SHOULD",
            goes_on=None,
        ),
        serves(
            "version-1.0-keep-alive",
            "HTTP/1.0 with keep-alive, which MAY keep the connection",
            "RFC 9112 §9.3",
            get(HOST, b"Connection: keep-alive\r\n", line=b"GET /first HTTP/1.0"),
            level="MAY",
            goes_on=None,
        ),
        serves(
            "version-1.2",
            "a later minor version",
            "RFC 9110 §2.5",
            get(line=b"GET /first HTTP/1.2"),
            level="SHOULD",
        ),
        should_refuse(
            "version-2.0",
            "HTTP/2.0 in a request line",
            "RFC 9110 §15.6.6",
            get(line=b"GET /first HTTP/2.0"),
            twin=TWIN,
        ),
        should_refuse(
            "version-9.9",
            "a major version that is none",
            "RFC 9110 §15.6.6",
            get(line=b"GET /first HTTP/9.9"),
            twin=TWIN,
        ),
        should_refuse(
            "version-0.9",
            "a line without a version, as HTTP/0.9 had it",
            "RFC 9112 §3",
            get(line=b"GET /first"),
            twin=TWIN,
        ),
        _malformed("version-lower-case", "http in lower case, which is another name", b"http/1.1"),
        _malformed("version-no-minor", "a version without a minor part", b"HTTP/1"),
        _malformed("version-zeros", "a version with leading zeros", b"HTTP/01.01"),
        _malformed("version-space", "a version with a space in it", b"HTTP/ 1.1"),
        _malformed("version-two-digits", "a minor version of two digits", b"HTTP/1.10"),
        _malformed("version-trailing", "a version with a letter after it", b"HTTP/1.1x"),
        _malformed("version-other-name", "a protocol of another name", b"HTTQ/1.1"),
        _malformed("version-comma", "a version with a comma", b"HTTP/1,1"),
        inspected(
            "version-preface",
            "the preface of HTTP/2",
            "RFC 9113 §3.4",
            "SHOULD",
            PREFACE,
            _preface,
        ),
        may_refuse(
            "version-1.0-chunked",
            "HTTP/1.0 with Transfer-Encoding, whose framing is faulty: the connection is to end",
            "RFC 9112 §6.1",
            get(
                HOST,
                b"Transfer-Encoding: chunked\r\n",
                line=b"GET /first HTTP/1.0",
                after=b"0\r\n\r\n" + get(),
            ),
            Reading("it answers and closes", "allowed", goes_on=False),
            twin=TWIN,
            level="MUST",
        ),
        may_refuse(
            "version-1.0-upgrade",
            "Upgrade with HTTP/1.0, which is to be ignored",
            "RFC 9110 §7.8",
            get(
                HOST,
                b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                line=b"GET /first HTTP/1.0",
                after=b"",
            ),
            Reading("it is served without it", "conforms", goes_on=None),
            ALLOWED,
            twin=TWIN,
            level="MUST",
        ),
    ),
)
