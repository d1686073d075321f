"""Chunks: sizes, extensions, line ends, trailers, and bodies that don't end."""

from __future__ import annotations

from bench.wire.conformance import shown
from remote.onhost.conformance.http1.probe import (
    AFTER,
    SMUGGLED_GET,
    Http1Probe,
    Judged,
    ProbedSubject,
    ProbeOutcome,
    Reading,
    chunked,
    inspected,
    may_refuse,
    posted,
    serves,
    should_refuse,
)

TWIN = "coding-plain"
CHUNK = "RFC 9112 §7.1"
EXTENSION = "RFC 9112 §7.1.1"
TRAILER = "RFC 9110 §6.5.1"
END = b"0\r\n\r\n"
HEAD = b"POST /first HTTP/1.1\r\nHost: @HOST@\r\nTransfer-Encoding: chunked\r\n\r\n"
SERVED = Reading("it is served all the same", "weak", (posted(),), goes_on=None)


def _valid(name: str, title: str, body: bytes, rule: str = CHUNK, whole: bytes = b"hello") -> Http1Probe:
    return serves(name, title, rule, chunked(body), posted(whole))


def _off(name: str, title: str, body: bytes, rule: str = CHUNK) -> Http1Probe:
    """What is no chunk by the grammar of §7.1 SHOULD be answered with 400 (§2.2). Another body than either
    party meant is against the MUST of decoding it."""
    return should_refuse(name, title, rule, chunked(body), SERVED, twin=TWIN, otherwise="violates")


def _trailer(name: str, title: str, field: str, value: str) -> Http1Probe:
    """RFC 9110 §6.5.1: trailers MUST NOT be merged into the header."""

    def inspect(outcome: ProbeOutcome) -> Judged:
        if any(value in given for one in outcome.complete[:1] for given in one.header(field)):
            return "violates", "the app is given the trailer as a header"
        if outcome.answers.statuses[:1] == (200,) and outcome.goes_on:
            return "conforms", "the app isn’t given it as a header, and what follows is served"
        if outcome.answers.statuses and outcome.answers.statuses[0] >= 400:
            return "allowed", f"it refuses with {outcome.answers.statuses[0]}"
        return "violates", "the request is neither served nor refused, or what follows isn’t served"

    sent = chunked(b"5\r\nhello\r\n0\r\n" + f"{field}: {value}\r\n".encode() + b"\r\n")
    return inspected(name, title, TRAILER, "MUST", sent, inspect)


def _overflow(name: str, title: str, size: bytes) -> Http1Probe:
    """§7.1: a recipient MUST prevent errors by sizes that no integer holds."""

    def inspect(outcome: ProbeOutcome) -> Judged:
        if outcome.complete:
            return (
                "violates",
                f"the size was read as another one: the app was given {outcome.complete[0].body!r:.60}",
            )
        if outcome.answers.statuses:
            return "conforms", f"it refuses with {outcome.answers.statuses[0]}"
        return "conforms", "it waits for the rest" if outcome.end == "open" else "it closes the connection"

    return inspected(name, title, CHUNK, "MUST", chunked(size + b"\r\nhello\r\n" + END), inspect)


def _not_ended(outcome: ProbeOutcome) -> Judged:
    """§8: without the last chunk the message is incomplete."""
    if outcome.complete:
        return "violates", "the app was given a body as whole whose last chunk is missing"
    if outcome.answers.statuses[:1] == (200,):
        return "violates", "it answers with 200"
    return "conforms", "the app wasn’t given it as whole"


def _waits_for_the_last(outcome: ProbeOutcome) -> Judged:
    early = outcome.step_received[0] if outcome.step_received else b""
    if early:
        return "violates", f"it answers before the last chunk is there: {shown(early, 40)}"
    if [one.body for one in outcome.complete[:1]] == ["hello"] and outcome.goes_on:
        return "conforms", "it waits for the last chunk, and serves what follows"
    return "violates", f"answered with {outcome.answers.statuses}"


def _extension_of(length: int) -> Http1Probe:
    return may_refuse(
        "extension-64k",
        "an extension of 64 KiB, which servers ought to limit",
        EXTENSION,
        chunked(b"5;a=" + b"b" * length + b"\r\nhello\r\n" + END),
        Reading("it is served", "allowed", (posted(),)),
        twin="extension",
    )


SUBJECT = ProbedSubject(
    "Chunks",
    80,
    (
        _valid("chunk-two", "two chunks", b"5\r\nhello\r\n6\r\n world\r\n" + END, whole=b"hello world"),
        _valid("chunk-none", "the last chunk alone", END, whole=b""),
        _valid(
            "chunk-upper-case", "a size in capital hex", b"A\r\nhelloworld\r\n" + END, whole=b"helloworld"
        ),
        _valid("chunk-lower-case", "a size in small hex", b"a\r\nhelloworld\r\n" + END, whole=b"helloworld"),
        _valid("chunk-zeros", "a size with leading zeros", b"0005\r\nhello\r\n" + END),
        _valid("chunk-zeros-last", "the last chunk’s size as 000", b"5\r\nhello\r\n000\r\n\r\n"),
        _valid(
            "chunk-of-request",
            "a chunk that is a request",
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED_GET), SMUGGLED_GET),
            whole=SMUGGLED_GET,
        ),
        _valid("extension", "an extension, which is to be ignored", b"5;a=b\r\nhello\r\n" + END, EXTENSION),
        _valid("extension-name", "an extension without a value", b"5;a\r\nhello\r\n" + END, EXTENSION),
        _valid(
            "extension-quoted",
            "an extension whose value is quoted",
            b'5;a="b;c"\r\nhello\r\n' + END,
            EXTENSION,
        ),
        _valid("extension-last", "an extension of the last chunk", b"5\r\nhello\r\n0;a=b\r\n\r\n", EXTENSION),
        _valid("trailer", "a trailer", b"5\r\nhello\r\n0\r\nX-Test: 1\r\n\r\n", "RFC 9112 §7.1.2"),
        inspected(
            "chunk-late",
            "the last chunk later",
            CHUNK,
            "MUST",
            (HEAD + b"5\r\nhello\r\n", END + AFTER),
            _waits_for_the_last,
        ),
        inspected(
            "chunk-no-last",
            "no last chunk, and then the end of the connection",
            "RFC 9112 §8",
            "MUST",
            HEAD + b"5\r\nhello\r\n",
            _not_ended,
            ends_sending=True,
        ),
        inspected(
            "chunk-cut",
            "a chunk that is cut off by the end of the connection",
            "RFC 9112 §8",
            "MUST",
            HEAD + b"a\r\nhello",
            _not_ended,
            ends_sending=True,
        ),
        serves(
            "chunk-pieces",
            "a size that comes in two pieces",
            CHUNK,
            (HEAD + b"1", b"0\r\n0123456789abcdef\r\n" + END + AFTER),
            posted(b"0123456789abcdef"),
        ),
        _off("chunk-0x", "a size with 0x before it", b"0x5\r\nhello\r\n" + END),
        _off("chunk-plus", "a size with a plus sign", b"+5\r\nhello\r\n" + END),
        _off("chunk-plus-last", "a last chunk of +0", b"5\r\nhello\r\n+0\r\n\r\n"),
        _off("chunk-minus", "a negative size", b"-5\r\nhello\r\n" + END),
        _off("chunk-underscore", "a size with an underscore", b"1_0\r\n0123456789abcdef\r\n" + END),
        _off("chunk-space-before", "a space before the size", b" 5\r\nhello\r\n" + END),
        _off("chunk-space-after", "a space after the size", b"5 \r\nhello\r\n" + END),
        _off("chunk-tab-after", "a tab after the size", b"5\t\r\nhello\r\n" + END),
        _off("chunk-letter", "a size that is no hex", b"g\r\nhello\r\n" + END),
        _off("chunk-trailing", "a size with a letter after it", b"5g\r\nhello\r\n" + END),
        _off("chunk-empty", "an empty size", b"\r\nhello\r\n" + END),
        _off("chunk-nul", "a size with a NUL after it", b"5\x00\r\nhello\r\n" + END),
        _off("chunk-arabic", "a size in digits of another script", b"\xd9\xa5\r\nhello\r\n" + END),
        _off("chunk-long", "more data than the size says", b"5\r\nhello!!\r\n" + END),
        _off("chunk-short", "less data than the size says", b"7\r\nhello\r\n" + END),
        _off("chunk-no-end", "no line end after the data", b"5\r\nhello0\r\n\r\n"),
        _off("chunk-lf-size", "a bare LF after the size", b"5\nhello\r\n" + END),
        _off("chunk-lf-data", "a bare LF after the data", b"5\r\nhello\n" + END),
        _off("chunk-cr-size", "a bare CR after the size", b"5\rhello\r\n" + END),
        _off("chunk-cr-data", "a bare CR after the data", b"5\r\nhello\r" + END),
        _off("chunk-lf-extension", "a bare LF within an extension", b"5;a\nb\r\nhello\r\n" + END, EXTENSION),
        _off("chunk-cr-extension", "a bare CR within an extension", b"5;a\rb\r\nhello\r\n" + END, EXTENSION),
        _off("chunk-extension-nul", "a NUL within an extension", b"5;a\x00b\r\nhello\r\n" + END, EXTENSION),
        _off(
            "chunk-extension-empty", "a semicolon without an extension", b"5;\r\nhello\r\n" + END, EXTENSION
        ),
        _off(
            "chunk-extension-bracket",
            "an extension whose name has a bracket",
            b"5;a[=b\r\nhello\r\n" + END,
            EXTENSION,
        ),
        _off(
            "chunk-extension-open",
            "an extension whose quote isn’t closed",
            b'5;a="b\r\nhello\r\n' + END,
            EXTENSION,
        ),
        _off(
            "trailer-no-colon",
            "a trailer without a colon",
            b"5\r\nhello\r\n0\r\nX-Test\r\n\r\n",
            "RFC 9112 §7.1.2",
        ),
        _off(
            "trailer-space",
            "a trailer with a space before its colon",
            b"5\r\nhello\r\n0\r\nX-Test : 1\r\n\r\n",
            "RFC 9112 §7.1.2",
        ),
        may_refuse(
            "chunk-lf-last",
            "a bare LF as the last empty line",
            "RFC 9112 §2.2",
            chunked(b"5\r\nhello\r\n0\r\n\n"),
            Reading("it is served", "allowed", (posted(),), goes_on=None),
            twin=TWIN,
        ),
        _overflow("chunk-overflow-64", "a size beyond 64 bits", b"10000000000000005"),
        _overflow("chunk-overflow-32", "a size beyond 32 bits", b"100000005"),
        _overflow("chunk-overflow-long", "a size of 5,000 digits", b"f" * 5000),
        _extension_of(1 << 16),
        _trailer("trailer-length", "a Content-Length as a trailer", "content-length", "50"),
        _trailer("trailer-coding", "a Transfer-Encoding as a trailer", "transfer-encoding", "gzip"),
        _trailer("trailer-authorization", "an Authorization as a trailer", "authorization", "Bearer a"),
        _trailer("trailer-type", "a Content-Type as a trailer", "content-type", "text/html"),
        _trailer("trailer-host", "a Host as a trailer", "host", "trailer.example"),
    ),
)
