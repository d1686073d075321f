"""Malformed requests: pseudo-fields, names, values, and lengths that are wrong (RFC 9113 §8.1.1)."""

from __future__ import annotations

from remote.onhost.conformance.h2.frames import END_HEADERS, data, headers, post_head, usual
from remote.onhost.conformance.h2.probe import H2Probe, H2Subject, malformed

PSEUDO = "RFC 9113 §8.3.1"
ANY_PSEUDO = "RFC 9113 §8.3"
FIELDS = "RFC 9113 §8.2.1"
CONNECTION = "RFC 9113 §8.2.2"
LENGTH = "RFC 9113 §8.1.1"


def _without(name: str) -> bytes:
    return headers([field for field in usual() if field[0] != name])


def _with(*more: tuple[str, str]) -> bytes:
    return headers([*usual(), *more])


def _bad(name: str, title: str, rule: str, *more: tuple[str, str]) -> H2Probe:
    return malformed(name, title, rule, _with(*more))


SUBJECT = H2Subject(
    "Malformed requests",
    30,
    (
        malformed("no-method", "no :method", PSEUDO, _without(":method")),
        malformed("no-scheme", "no :scheme", PSEUDO, _without(":scheme")),
        malformed("no-path", "no :path", PSEUDO, _without(":path")),
        malformed("empty-path", "an empty :path", PSEUDO, headers(usual(""))),
        _bad("two-methods", "two :method", PSEUDO, (":method", "GET")),
        _bad("two-schemes", "two :scheme", PSEUDO, (":scheme", "http")),
        _bad("two-paths", "two :path", PSEUDO, (":path", "/second")),
        _bad("unknown-pseudo", "an unknown pseudo-field", ANY_PSEUDO, (":test", "1")),
        _bad("status", ":status, which answers have", ANY_PSEUDO, (":status", "200")),
        malformed(
            "pseudo-late", "a pseudo-field behind a field", ANY_PSEUDO, headers([("x-test", "1"), *usual()])
        ),
        malformed(
            "pseudo-trailer",
            "a pseudo-field in trailers",
            ANY_PSEUDO,
            post_head() + data(flags=0) + headers([(":method", "GET")]),
        ),
        malformed(
            "trailers-open",
            "trailers that don’t end the stream",
            "RFC 9113 §8.1",
            post_head() + data(flags=0) + headers([("x-test", "1")], flags=END_HEADERS) + data(),
        ),
        _bad("upper-case", "a name in capitals", FIELDS, ("X-Test", "1")),
        _bad("name-space", "a name with a space", FIELDS, ("x test", "1")),
        _bad("name-colon", "a name with a colon in it", FIELDS, ("x:test", "1")),
        _bad("name-nul", "a name with a NUL", FIELDS, ("x\x00test", "1")),
        _bad("name-empty", "an empty name", FIELDS, ("", "1")),
        _bad("value-nul", "a value with a NUL", FIELDS, ("x-test", "a\x00b")),
        _bad("value-lf", "a value with a line feed", FIELDS, ("x-test", "a\nb")),
        _bad("value-cr", "a value with a carriage return", FIELDS, ("x-test", "a\rb")),
        _bad("value-space", "a value that begins with a space", FIELDS, ("x-test", " a")),
        _bad("connection", "a Connection field", CONNECTION, ("connection", "close")),
        _bad("keep-alive", "a Keep-Alive field", CONNECTION, ("keep-alive", "timeout=5")),
        _bad("proxy-connection", "a Proxy-Connection field", CONNECTION, ("proxy-connection", "close")),
        _bad("transfer-encoding", "a Transfer-Encoding field", CONNECTION, ("transfer-encoding", "chunked")),
        _bad("upgrade", "an Upgrade field", CONNECTION, ("upgrade", "h2c")),
        _bad("te", "a TE field of another value than trailers", CONNECTION, ("te", "gzip")),
        malformed(
            "length-long",
            "a content-length that is longer than DATA",
            LENGTH,
            post_head(1, ("content-length", "10")) + data(),
        ),
        malformed(
            "length-short",
            "a content-length that is shorter than DATA",
            LENGTH,
            post_head(1, ("content-length", "1")) + data(),
        ),
        malformed(
            "length-two",
            "two DATA frames that are longer than content-length",
            LENGTH,
            post_head(1, ("content-length", "5")) + data(flags=0) + data(),
        ),
        malformed(
            "length-twice",
            "two content-lengths that differ",
            LENGTH,
            post_head(1, ("content-length", "5"), ("content-length", "9")) + data(),
        ),
    ),
)
