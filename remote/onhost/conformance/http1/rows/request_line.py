"""The request line: its parts, its spaces, methods, and targets of every form."""

from __future__ import annotations

from remote.onhost.conformance.http1.probe import (
    ALLOWED,
    HOST,
    Http1Probe,
    ProbedSubject,
    Reading,
    Wanted,
    get,
    may_refuse,
    must_refuse,
    serves,
    should_refuse,
)

TWIN = "line-plain"
WHITESPACE = "RFC 9112 §3"
INVALID = "RFC 9112 §3"
METHOD = "RFC 9110 §9.1"
LONG = 100_000


def _invalid(name: str, title: str, line: bytes, rule: str = INVALID, *readings: Reading) -> Http1Probe:
    """§3: "Recipients of an invalid request-line SHOULD respond with either a 400 [...] or a 301"."""
    return should_refuse(name, title, rule, get(line=line), *readings, twin=TWIN)


def _spaced(name: str, title: str, line: bytes) -> Http1Probe:
    """§3: a recipient MAY parse on words, which are divided by any whitespace."""
    return should_refuse(name, title, WHITESPACE, get(line=line), ALLOWED, twin=TWIN)


def _long_target() -> Http1Probe:
    """§3: what is longer than "any URI it wishes to parse" a server MUST answer with 414."""
    target = b"/first?" + b"a" * LONG
    served = Reading("it is served", "allowed", (Wanted(),))
    return must_refuse(
        "target-100000",
        "a request target of 100,000 bytes",
        "RFC 9112 §3",
        get(line=b"GET " + target + b" HTTP/1.1"),
        served,
        twin="target-8000",
        statuses=(414,),
    )


SUBJECT = ProbedSubject(
    "Request line",
    10,
    (
        serves("line-plain", "a plain request", "RFC 9112 §3", get()),
        serves(
            "line-query",
            "a target with a query",
            "RFC 9112 §3.2.1",
            get(line=b"GET /first?a=b&c=%20d HTTP/1.1"),
        ),
        _spaced("line-two-spaces", "two spaces after the method", b"GET  /first HTTP/1.1"),
        _spaced("line-tab", "a tab after the method", b"GET\t/first HTTP/1.1"),
        _spaced("line-space-at-end", "a space after the version", b"GET /first HTTP/1.1 "),
        _spaced("line-space-at-start", "a space before the method", b" GET /first HTTP/1.1"),
        _invalid("line-space-in-target", "a space within the target", b"GET /fi rst HTTP/1.1"),
        _invalid("line-no-target", "no target", b"GET HTTP/1.1"),
        _invalid("line-one-word", "a method alone", b"GET"),
        _invalid("line-garbage", "bytes that are no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\xff\xfe"),
        serves(
            "method-custom",
            "a method that is no usual one but a token: M-SEARCH",
            METHOD,
            get(line=b"M-SEARCH /first HTTP/1.1"),
            Wanted(method="M-SEARCH"),
            level="SHOULD",
        ),
        may_refuse(
            "method-lower-case",
            "the method in lower case, which is another method",
            METHOD,
            get(line=b"get /first HTTP/1.1"),
            Reading("the app is given it as it is", "conforms", (Wanted(method="get"),)),
            Reading("the app is given GET, as ASGI has it", "allowed", (Wanted(method="GET"),)),
            twin=TWIN,
        ),
        _invalid("method-not-token", "a method with a character that no token has", b"GE(T /first HTTP/1.1"),
        _invalid("method-nul", "a method with a NUL", b"GE\x00T /first HTTP/1.1"),
        _invalid("method-colon", "a method with a colon", b"GET: /first HTTP/1.1"),
        should_refuse(
            "method-8000",
            "a method of 8,000 letters",
            "RFC 9112 §3",
            get(line=b"A" * 8000 + b" /first HTTP/1.1"),
            Reading("it is served", "allowed", (Wanted(method=None),)),
            twin=TWIN,
            statuses=(501,),
        ),
        serves(
            "target-8000",
            "a request line of 8,000 bytes",
            "RFC 9112 §3",
            get(line=b"GET /first?" + b"a" * 7980 + b" HTTP/1.1"),
            level="SHOULD",
        ),
        _long_target(),
        _invalid("target-fragment", "a target with a fragment", b"GET /first#part HTTP/1.1", "RFC 9112 §3.2"),
        _invalid("target-not-ascii", "a target with bytes beyond ASCII", b"GET /caf\xc3\xa9 HTTP/1.1"),
        _invalid("target-nul", "a target with a NUL", b"GET /fi\x00rst HTTP/1.1"),
        _invalid("target-control", "a target with a control character", b"GET /fi\x01rst HTTP/1.1"),
        _invalid("target-delete", "a target with a DEL", b"GET /fi\x7frst HTTP/1.1"),
        _invalid("target-backslash", "a target with a backslash", b"GET /a\\b HTTP/1.1", "RFC 9112 §3.2.1"),
        _invalid(
            "target-percent",
            "a percent sign without two hex digits",
            b"GET /a%zz HTTP/1.1",
            "RFC 9112 §3.2.1",
        ),
        _invalid(
            "target-no-slash", "a target that begins with no slash", b"GET first HTTP/1.1", "RFC 9112 §3.2"
        ),
        may_refuse(
            "target-percent-nul",
            "an encoded NUL in the path",
            "RFC 9110 §17.3",
            get(line=b"GET /first%00 HTTP/1.1"),
            Reading("it is served", "allowed", (Wanted("/first\x00"),)),
            twin=TWIN,
        ),
        may_refuse(
            "target-percent-crlf",
            "an encoded line feed in the path",
            "RFC 9110 §17.3",
            get(line=b"GET /first%0d%0aX-Test:%201 HTTP/1.1"),
            Reading("it is served", "allowed", (Wanted("/first\r\nX-Test: 1", fields={"x-test": ()}),)),
            twin=TWIN,
        ),
        serves(
            "target-absolute",
            "the target as a whole URI",
            "RFC 9112 §3.2.2",
            get(line=b"GET http://@HOST@/first HTTP/1.1"),
        ),
        may_refuse(
            "target-absolute-other-host",
            "a whole URI as the target, whose host is not that of the Host field",
            "RFC 9112 §3.2.2",
            get(HOST, line=b"GET http://other.example/first HTTP/1.1"),
            Reading(
                "the app is given the target’s host",
                "conforms",
                (Wanted(fields={"host": ("other.example",)}),),
            ),
            twin="target-absolute",
            level="MUST",
        ),
        serves(
            "target-asterisk",
            "OPTIONS of the whole server: the target *",
            "RFC 9112 §3.2.4",
            get(line=b"OPTIONS * HTTP/1.1"),
            Wanted("*", "OPTIONS"),
            level="MAY",
        ),
        _invalid("target-asterisk-get", "the target * with GET", b"GET * HTTP/1.1", "RFC 9112 §3.2.4"),
        _invalid(
            "target-authority-get",
            "host and port as the target of GET",
            b"GET @HOST@ HTTP/1.1",
            "RFC 9112 §3.2.3",
        ),
        may_refuse(
            "connect",
            "CONNECT, which asks for a tunnel",
            "RFC 9110 §9.3.6",
            get(line=b"CONNECT @HOST@ HTTP/1.1"),
            Reading("it is left to the app", "allowed", (Wanted(None, "CONNECT"),), goes_on=None),
            twin=TWIN,
        ),
        must_refuse(
            "connect-bad-port",
            "CONNECT to a port that is no number",
            "RFC 9110 §9.3.6",
            get(line=b"CONNECT other.example:8a HTTP/1.1"),
            twin=TWIN,
            statuses=(400, 404, 405, 501),
        ),
        must_refuse(
            "connect-no-port",
            "CONNECT to a host without a port",
            "RFC 9110 §9.3.6",
            get(line=b"CONNECT other.example HTTP/1.1"),
            twin=TWIN,
            statuses=(400, 404, 405, 501),
        ),
        serves(
            "trace",
            "TRACE, which the app may answer",
            "RFC 9110 §9.3.8",
            get(line=b"TRACE /first HTTP/1.1"),
            Wanted(method="TRACE"),
            level="MAY",
        ),
    ),
)
