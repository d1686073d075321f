"""Field lines: names, values, whitespace, folding, and how many and how long they may be."""

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
    post,
    posted,
    serves,
    should_refuse,
)

TWIN = "field-plain"
GRAMMAR = "RFC 9112 §2.2"
VALUE = "RFC 9110 §5.5"
TOO_MUCH = "RFC 9110 §5.4"


def _tested(*values: str) -> Wanted:
    return Wanted(fields={"x-test": values})


def _off(name: str, title: str, line: bytes) -> Http1Probe:
    """§2.2: what doesn't match the grammar SHOULD be answered with 400, and the connection closed."""
    return should_refuse(name, title, GRAMMAR, get(HOST, line), twin=TWIN)


def _spaced(name: str, title: str, sent: bytes) -> Http1Probe:
    """§5.1: whitespace between name and colon MUST be rejected with 400."""
    return must_refuse(name, title, "RFC 9112 §5.1", sent, twin=TWIN)


def _dangerous(name: str, title: str, value: bytes, replaced: str) -> Http1Probe:
    """RFC 9110 §5.5: CR, LF and NUL MUST be rejected or replaced by a space each."""
    return may_refuse(
        name,
        title,
        VALUE,
        get(HOST, b"X-Test: " + value + b"\r\n"),
        Reading("the app is given a space in its place", "conforms", (_tested(replaced),)),
        twin=TWIN,
        level="MUST",
    )


def _folded(name: str, title: str, lines: bytes) -> Http1Probe:
    """§5.2: a fold MUST be rejected with 400 or replaced by spaces."""
    spaces = tuple(
        Reading("the app is given spaces in its place", "conforms", (_tested("a" + " " * count + "b"),))
        for count in range(1, 5)
    )
    return may_refuse(name, title, "RFC 9112 §5.2", get(HOST, lines), *spaces, twin=TWIN, level="MUST")


def _too_much(name: str, title: str, *lines: bytes) -> Http1Probe:
    """RFC 9110 §5.4: what is larger than the server wishes to process MUST be answered with a 4xx."""
    return must_refuse(
        name,
        title,
        TOO_MUCH,
        get(HOST, *lines),
        Reading("it is served", "allowed"),
        twin=TWIN,
        statuses=tuple(range(400, 500)),
    )


SUBJECT = ProbedSubject(
    "Header fields",
    40,
    (
        serves("field-plain", "a plain field", "RFC 9112 §5", get(HOST, b"X-Test: 1\r\n"), _tested("1")),
        serves(
            "field-no-space",
            "no space after the colon",
            "RFC 9112 §5.1",
            get(HOST, b"X-Test:1\r\n"),
            _tested("1"),
        ),
        serves(
            "field-whitespace-around",
            "tabs and spaces around the value, which are no part of it",
            VALUE,
            get(HOST, b"X-Test: \t 1 \t \r\n"),
            _tested("1"),
        ),
        serves("field-empty", "an empty value", VALUE, get(HOST, b"X-Test:\r\n"), _tested("")),
        serves(
            "field-upper-case",
            "a name in capitals",
            "RFC 9110 §5.1",
            get(HOST, b"X-TEST: 1\r\n"),
            _tested("1"),
        ),
        serves(
            "field-token-characters",
            "a name with every character that a token may have",
            "RFC 9110 §5.6.2",
            get(HOST, b"x!#$%&'*+-.^_`|~9: 1\r\n"),
            Wanted(fields={"x!#$%&'*+-.^_`|~9": ("1",)}),
        ),
        serves(
            "field-beyond-ascii",
            "bytes beyond ASCII in a value, which are opaque",
            VALUE,
            get(HOST, b"X-Test: caf\xe9\r\n"),
            _tested("caf\xe9"),
            level="SHOULD",
        ),
        serves(
            "field-100",
            "100 fields",
            TOO_MUCH,
            get(HOST, *(b"X-%d: 1\r\n" % number for number in range(98)), b"X-Test: 1\r\n"),
            _tested("1"),
            level="SHOULD",
        ),
        serves(
            "field-4000",
            "a value of 4,000 bytes",
            TOO_MUCH,
            get(HOST, b"X-Test: " + b"a" * 4000 + b"\r\n"),
            _tested("a" * 4000),
            level="SHOULD",
        ),
        may_refuse(
            "field-repeated",
            "a field on two lines, whose order counts",
            "RFC 9110 §5.3",
            get(HOST, b"X-Test: 1\r\nX-Other: 0\r\nX-Test: 2\r\n"),
            Reading("the app is given both in their order", "conforms", (_tested("1", "2"),)),
            Reading("the app is given them as one", "conforms", (_tested("1, 2"),)),
            Reading("the app is given them as one", "conforms", (_tested("1,2"),)),
            twin=TWIN,
            level="MUST",
        ),
        _spaced("field-space-before-colon", "a space before the colon", get(HOST, b"X-Test : 1\r\n")),
        _spaced("field-tab-before-colon", "a tab before the colon", get(HOST, b"X-Test\t: 1\r\n")),
        _spaced(
            "field-length-space",
            "a space before the colon of Content-Length",
            post(b"Content-Length : 5\r\n"),
        ),
        _spaced(
            "field-length-tab",
            "a tab before the colon of a second Content-Length",
            post(b"Content-Length: 5\r\nContent-Length\t: 0\r\n"),
        ),
        _off("field-no-colon", "a line without a colon", b"X-Test\r\n"),
        _off("field-no-name", "a line without a name", b": 1\r\n"),
        _off("field-name-bracket", "a name with a bracket", b"X[Test: 1\r\n"),
        _off("field-name-space", "a name with a space in it", b"X Test: 1\r\n"),
        _off("field-name-beyond-ascii", "a name with bytes beyond ASCII", b"X-T\xc3\xa9st: 1\r\n"),
        _off("field-name-nul", "a name with a NUL", b"X-\x00Test: 1\r\n"),
        _off("field-name-control", "a name with a control character", b"X-\x01Test: 1\r\n"),
        _off("field-name-quote", "a name in quotes", b'"X-Test": 1\r\n'),
        _off("field-name-delete", "a name with a DEL", b"X-\x7fTest: 1\r\n"),
        _dangerous("field-value-nul", "a value with a NUL", b"a\x00b", "a b"),
        _dangerous("field-value-cr", "a value with a bare CR", b"a\rb", "a b"),
        _dangerous("field-value-cr-at-end", "a bare CR before the line’s end", b"a\r", "a"),
        may_refuse(
            "field-value-control",
            "a value with other control characters, which MAY be kept",
            VALUE,
            get(HOST, b"X-Test: a\x07b\r\n"),
            Reading("the app is given it", "allowed", (_tested("a\x07b"),)),
            twin=TWIN,
        ),
        may_refuse(
            "field-value-delete",
            "a value with a DEL, which MAY be kept",
            VALUE,
            get(HOST, b"X-Test: a\x7fb\r\n"),
            Reading("the app is given it", "allowed", (_tested("a\x7fb"),)),
            twin=TWIN,
        ),
        _folded("fold-space", "a value folded by a line that begins with a space", b"X-Test: a\r\n b\r\n"),
        _folded("fold-tab", "a value folded by a line that begins with a tab", b"X-Test: a\r\n\tb\r\n"),
        may_refuse(
            "fold-first",
            "a space before the first field",
            "RFC 9112 §2.2",
            get(b" X-Test: 1\r\n", HOST),
            Reading("the line is left out", "conforms", (_tested(),)),
            twin=TWIN,
            level="MUST",
        ),
        may_refuse(
            "fold-first-length",
            "a space before a Content-Length that comes first",
            "RFC 9112 §2.2",
            b"POST /first HTTP/1.1\r\n Content-Length: 5\r\n" + HOST + b"\r\n" + get(),
            Reading("the line is left out", "conforms", (posted(b""), Wanted())),
            Reading("the line is left out", "conforms", (posted(b""), Wanted()), goes_on=None),
            twin=TWIN,
            level="MUST",
        ),
        _too_much("field-huge-value", "a value of 100,000 bytes", b"X-Test: " + b"a" * 100_000 + b"\r\n"),
        _too_much("field-huge-name", "a name of 100,000 bytes", b"X-" + b"a" * 100_000 + b": 1\r\n"),
        _too_much("field-10000", "10,000 fields", *(b"X-%d: 1\r\n" % number for number in range(10_000))),
        serves(
            "field-underscore-length",
            "Content_Length, which is another field",
            "RFC 9110 §5.1",
            post(b"Content-Length: 5\r\nContent_Length: 0\r\n"),
            posted(),
            level="MAY",
        ),
    ),
)
