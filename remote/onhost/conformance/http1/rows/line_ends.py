"""Line ends: bare LF, bare CR, empty lines before a request, and requests that come in pieces."""

from __future__ import annotations

from remote.onhost.conformance.http1.probe import (
    AFTER,
    ALLOWED,
    ProbedSubject,
    Reading,
    Wanted,
    get,
    may_refuse,
    post,
    posted,
    serves,
)

TWIN = "line-plain"
LF = "RFC 9112 §2.2"
PIECES = b"POST /first HTTP/1.1\r\nHost: @HOST@\r\nContent-Length: 5\r\n\r\nhello" + AFTER
LINE = b"GET /first HTTP/1.1"

SUBJECT = ProbedSubject(
    "Line ends",
    50,
    (
        may_refuse(
            "lf-line",
            "a bare LF after the request line",
            LF,
            LINE + b"\nHost: @HOST@\r\n\r\n" + AFTER,
            ALLOWED,
            twin=TWIN,
        ),
        may_refuse(
            "lf-field", "a bare LF after a field", LF, get(b"X-Test: 1\nHost: @HOST@\r\n"), ALLOWED, twin=TWIN
        ),
        may_refuse(
            "lf-end",
            "a bare LF as the empty line",
            LF,
            LINE + b"\r\nHost: @HOST@\r\n\n" + AFTER,
            ALLOWED,
            twin=TWIN,
        ),
        may_refuse(
            "lf-all", "a bare LF everywhere", LF, LINE + b"\nHost: @HOST@\n\n" + AFTER, ALLOWED, twin=TWIN
        ),
        may_refuse(
            "cr-line",
            "a bare CR after the request line",
            LF,
            LINE + b"\rHost: @HOST@\r\n\r\n" + AFTER,
            twin=TWIN,
            level="MUST",
        ),
        may_refuse(
            "cr-field",
            "a bare CR between two fields, which is no line end",
            LF,
            get(b"Host: @HOST@\r\nX-Test: 1\rX-Other: 2\r\n"),
            Reading(
                "the app is given a space in its place",
                "conforms",
                (Wanted(fields={"x-test": ("1 X-Other: 2",), "x-other": ()}),),
            ),
            twin=TWIN,
            level="MUST",
        ),
        may_refuse(
            "cr-all",
            "a bare CR everywhere",
            LF,
            LINE + b"\rHost: @HOST@\r\r" + AFTER,
            twin=TWIN,
            level="MUST",
        ),
        serves("crlf-before", "an empty line before the request", LF, b"\r\n" + get(), level="SHOULD"),
        serves(
            "crlf-between",
            "an empty line after a body, before the next request",
            LF,
            post(b"Content-Length: 5\r\n", body=b"hello\r\n"),
            posted(),
            level="SHOULD",
        ),
        may_refuse(
            "whitespace-line",
            "a line of spaces before the request",
            "RFC 9112 §2.2",
            b"  \r\n" + get(),
            ALLOWED,
            twin=TWIN,
        ),
        serves(
            "pieces-bytes",
            "a request byte by byte",
            "RFC 9112 §2.2",
            PIECES,
            posted(),
            byte_by_byte=True,
        ),
        serves(
            "pieces-crlf",
            "a request cut between CR and LF",
            "RFC 9112 §2.2",
            (b"POST /first HTTP/1.1\r", b"\nHost: @HOST@\r\nContent-Length: 5\r\n\r", b"\nhello" + AFTER),
            posted(),
        ),
        serves(
            "pieces-body",
            "a body that comes later than its header",
            "RFC 9112 §6.3",
            (b"POST /first HTTP/1.1\r\nHost: @HOST@\r\nContent-Length: 5\r\n\r\nhe", b"llo" + AFTER),
            posted(),
        ),
    ),
)
