"""Content-Length: values that are no number, two of them, and bodies that end early."""

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
    Reading,
    Wanted,
    get,
    inspected,
    may_refuse,
    must_refuse,
    post,
    posted,
    serves,
)

TWIN = "length-plain"
RULE = "RFC 9112 §6.3"
LENGTH = "RFC 9110 §8.6"


def _invalid(name: str, title: str, value: bytes, body: bytes = b"hello") -> Http1Probe:
    """§6.3, 5: an invalid Content-Length is an unrecoverable error: 400, and the connection is closed."""
    sent = post(b"Content-Length: " + value + b"\r\n", body=body)
    return must_refuse(name, title, RULE, sent, twin=TWIN, closes=True)


def _one_value(name: str, title: str, *fields: bytes) -> Http1Probe:
    """RFC 9110 §8.6: a value that is repeated MUST be rejected or taken as one."""
    return may_refuse(
        name,
        title,
        LENGTH,
        post(*fields),
        Reading("it is taken as one", "conforms", (posted(),)),
        twin=TWIN,
        level="MUST",
    )


def _huge(outcome: ProbeOutcome) -> Judged:
    """It is valid, and more than was sent: a server may refuse it or wait."""
    if outcome.complete:
        return "violates", "the app was given the request as whole: its length was read as another one"
    if outcome.answers.statuses:
        return "conforms", f"it refuses with {outcome.answers.statuses[0]}"
    if outcome.end == "open":
        return "conforms", "it waits for the body"
    return "weak", "it closes the connection without an answer"


def _cut(outcome: ProbeOutcome) -> Judged:
    """§8: a body that ended early must not be given to the app as whole."""
    if outcome.complete:
        return "violates", "the app was given a body as whole that was cut off"
    if outcome.answers.statuses[:1] == (200,):
        return "violates", "it answers with 200 to a request that was cut off"
    if outcome.answers.statuses:
        return "conforms", f"it refuses with {outcome.answers.statuses[0]}"
    return "conforms", f"the app wasn’t given it as whole, and the connection is {outcome.end}"


def _waits_for_the_rest(outcome: ProbeOutcome) -> Judged:
    early = outcome.step_received[0] if outcome.step_received else b""
    if early:
        return "violates", f"it answers before the body is there: {shown(early, 40)}"
    bodies = [one.body for one in outcome.complete[:1]]
    if bodies != ["hellohello"] or not outcome.goes_on:
        return (
            "violates",
            f"the app was given {bodies}, and what follows was {'' if outcome.goes_on else 'not '}served",
        )
    return "conforms", "it waits for the rest, and serves what follows"


SUBJECT = ProbedSubject(
    "Content-Length",
    60,
    (
        serves("length-plain", "a body of 5 bytes", RULE, post(b"Content-Length: 5\r\n"), posted()),
        serves(
            "length-zero", "a body of no bytes", RULE, post(b"Content-Length: 0\r\n", body=b""), posted(b"")
        ),
        serves(
            "length-none",
            "a POST without a length, which has no body",
            RULE,
            post(b"X-Test: 1\r\n", body=b""),
            posted(b""),
        ),
        serves(
            "length-zeros",
            "a length with leading zeros",
            LENGTH,
            post(b"Content-Length: 005\r\n"),
            posted(),
            level="SHOULD",
        ),
        serves(
            "length-decimal",
            "a length that would be another number in octal",
            LENGTH,
            post(b"Content-Length: 010\r\n", body=b"helloworld"),
            posted(b"helloworld"),
            level="SHOULD",
        ),
        serves(
            "length-whitespace",
            "whitespace around the length",
            "RFC 9110 §5.5",
            post(b"Content-Length: \t5 \t\r\n"),
            posted(),
        ),
        serves(
            "length-get",
            "a GET with a body, which is to be read",
            "RFC 9110 §9.3.1",
            get(HOST, b"Content-Length: 5\r\n", after=b"hello" + AFTER),
            Wanted(body=b"hello"),
            level="MAY",
        ),
        serves(
            "length-get-request",
            "a GET whose body is a request",
            "RFC 9110 §9.3.1",
            get(HOST, b"Content-Length: %d\r\n" % len(SMUGGLED_GET), after=SMUGGLED_GET + AFTER),
            Wanted(body=SMUGGLED_GET),
            level="MAY",
        ),
        inspected(
            "length-late",
            "half of the body, and the rest later",
            RULE,
            "MUST",
            (b"POST /first HTTP/1.1\r\nHost: @HOST@\r\nContent-Length: 10\r\n\r\nhello", b"hello" + AFTER),
            _waits_for_the_rest,
        ),
        inspected(
            "length-cut",
            "half of the body, and then the end of the connection",
            "RFC 9112 §8",
            "MUST",
            b"POST /first HTTP/1.1\r\nHost: @HOST@\r\nContent-Length: 10\r\n\r\nhello",
            _cut,
            ends_sending=True,
        ),
        _invalid("length-plus", "a length with a plus sign", b"+5"),
        _invalid("length-minus", "a negative length", b"-5"),
        _invalid("length-minus-zero", "a length of -0", b"-0", b""),
        _invalid("length-hex", "a length in hex", b"0x5"),
        _invalid("length-octal", "a length in Python’s octal", b"0o5"),
        _invalid("length-underscore", "a length with an underscore", b"1_0", b"helloworld"),
        _invalid("length-letters", "a length of letters", b"abc", b""),
        _invalid("length-trailing", "a length with letters after it", b"5abc"),
        _invalid("length-space", "a length with a space in it", b"1 0", b"helloworld"),
        _invalid("length-point", "a length with a point", b"5.0"),
        _invalid("length-exponent", "a length with an exponent", b"5e0"),
        _invalid("length-quoted", "a length in quotes", b'"5"'),
        _invalid("length-empty", "an empty length", b"", b""),
        _invalid("length-superscript", "a superscript digit of Latin-1", b"\xb2", b"he"),
        _invalid("length-arabic", "a digit of another script", b"\xd9\xa5"),
        _invalid("length-semicolon", "a length with a parameter", b"5;a=b"),
        _invalid("length-list", "a list of two lengths that differ", b"5, 10", b"helloworld"),
        must_refuse(
            "length-twice",
            "two lengths that differ",
            RULE,
            post(b"Content-Length: 5\r\nContent-Length: 10\r\n", body=b"helloworld"),
            twin=TWIN,
            closes=True,
        ),
        must_refuse(
            "length-twice-request",
            "two lengths that differ, the shorter of which leaves a request behind",
            RULE,
            post(b"Content-Length: 80\r\nContent-Length: 5\r\n", body=b"hello" + SMUGGLED_GET),
            twin=TWIN,
            closes=True,
        ),
        _one_value(
            "length-twice-alike", "two lengths that are alike", b"Content-Length: 5\r\nContent-Length: 5\r\n"
        ),
        _one_value("length-list-alike", "a list of one length twice", b"Content-Length: 5, 5\r\n"),
        _one_value("length-list-comma", "a list that begins with a comma", b"Content-Length: , 5\r\n"),
        inspected(
            "length-huge",
            "a length that no 64 bits hold",
            LENGTH,
            "MUST",
            post(b"Content-Length: 18446744073709551621\r\n"),
            _huge,
        ),
        inspected(
            "length-long-digits",
            "a length of 5,000 digits",
            LENGTH,
            "MUST",
            post(b"Content-Length: " + b"9" * 5000 + b"\r\n"),
            _huge,
        ),
    ),
)
