"""The Host field: missing, twice, and values that are no host."""

from __future__ import annotations

from remote.onhost.conformance.http1.probe import (
    HOST,
    Http1Probe,
    ProbedSubject,
    Reading,
    Wanted,
    get,
    may_refuse,
    must_refuse,
    serves,
)

RULE = "RFC 9112 §3.2"
TWIN = "host-plain"


def _bad(name: str, title: str, *fields: bytes, line: bytes = b"GET /first HTTP/1.1") -> Http1Probe:
    """§3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that
    lacks a Host header field and to any request message that contains more than one Host header field line
    or a Host header field with an invalid field value."
    """
    return must_refuse(name, title, RULE, get(*fields, line=line), twin=TWIN)


SUBJECT = ProbedSubject(
    "Host",
    30,
    (
        serves("host-plain", "one Host field", RULE, get()),
        _bad("host-missing", "no Host field", b"X-Test: 1\r\n"),
        _bad("host-twice", "two Host fields that differ", HOST, b"Host: other.example\r\n"),
        _bad("host-twice-alike", "two Host fields that are alike", HOST, HOST),
        _bad("host-twice-1.0", "two Host fields with HTTP/1.0", HOST, HOST, line=b"GET /first HTTP/1.0"),
        _bad("host-userinfo", "a Host with a user in it", b"Host: user@other.example\r\n"),
        _bad("host-path", "a Host with a path", b"Host: other.example/path\r\n"),
        _bad("host-list", "a Host of two hosts", b"Host: a.example, b.example\r\n"),
        _bad("host-space", "a Host with a space in it", b"Host: a example\r\n"),
        _bad("host-bad-port", "a Host whose port is no number", b"Host: other.example:8a\r\n"),
        _bad("host-query", "a Host with a query", b"Host: other.example?a\r\n"),
        _bad("host-bracket", "a Host with a bracket that isn’t closed", b"Host: [::1\r\n"),
        _bad("host-backslash", "a Host with a backslash", b"Host: other.example\\a\r\n"),
        _bad("host-angle", "a Host with a character that no host has", b"Host: <other.example>\r\n"),
        _bad("host-nul", "a Host with a NUL", b"Host: other\x00.example\r\n"),
        may_refuse(
            "host-empty",
            "an empty Host, which is a valid value",
            RULE,
            get(b"Host:\r\n"),
            Reading("it is served", "allowed", (Wanted(fields={"host": ("",)}),)),
            twin=TWIN,
        ),
        serves(
            "host-ipv6",
            "a Host that is an IPv6 address",
            RULE,
            get(b"Host: [::1]:8000\r\n"),
            Wanted(fields={"host": ("[::1]:8000",)}),
            level="SHOULD",
        ),
        serves(
            "host-upper-case",
            "HOST, since names have no case",
            "RFC 9110 §5.1",
            get(b"HOST: @HOST@\r\n"),
        ),
    ),
)
