"""Transfer-Encoding: codings that are not understood, obfuscated ones, and both kinds of framing at once."""

from __future__ import annotations

from remote.onhost.conformance.http1.probe import (
    AFTER,
    HOST,
    SMUGGLED_GET,
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

TWIN = "coding-plain"
BODY = b"5\r\nhello\r\n0\r\n\r\n"
LAST = b"0\r\n\r\n"
NOT_LAST = "RFC 9112 §6.3"
BOTH = "RFC 9112 §6.1"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
BY_CHUNKS = Reading("it goes by Transfer-Encoding and closes", "conforms", (posted(),), goes_on=False)
EMPTY_BY_CHUNKS = Reading(
    "it goes by Transfer-Encoding and closes", "conforms", (posted(b""),), goes_on=False
)
CODED = Reading("it is served as chunked", "weak", (posted(),), goes_on=None)
LEFT_BEHIND = LAST + SMUGGLED_GET
"""By chunks the body ends before the request that it carries; by length, after it."""
SIZED = b"Content-Length: %d\r\n" % len(LEFT_BEHIND)
IN_A_CHUNK = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED_GET), SMUGGLED_GET)
"""By chunks the request is within the body; by a length of 4, after it."""


def _not_chunked_last(name: str, title: str, *fields: bytes, body: bytes = BODY) -> Http1Probe:
    """§6.3, 4: where chunked is not the final coding the server MUST respond with 400 and close. For a coding
    that it doesn't understand, 501 is right too (§6.1)."""
    return must_refuse(
        name, title, NOT_LAST, post(*fields, body=body), twin=TWIN, statuses=(400, 501), closes=True
    )


def _both(
    name: str, title: str, *fields: bytes, body: bytes = BODY, readings: tuple[Reading, ...] = (BY_CHUNKS,)
) -> Http1Probe:
    """§6.1: with both, a server may reject or go by Transfer-Encoding alone; either way it MUST close."""
    return may_refuse(name, title, BOTH, post(*fields, body=body), *readings, twin=TWIN, level="MUST")


def _valid(name: str, title: str, rule: str, *fields: bytes) -> Http1Probe:
    return serves(name, title, rule, post(*fields, body=BODY), posted())


SUBJECT = ProbedSubject(
    "Transfer-Encoding",
    70,
    (
        _valid("coding-plain", "a chunked body", "RFC 9112 §7.1", CHUNKED),
        _valid(
            "coding-upper-case",
            "chunked in capitals, since codings have no case",
            "RFC 9112 §7",
            b"Transfer-Encoding: CHUNKED\r\n",
        ),
        _valid(
            "coding-whitespace",
            "tabs and spaces around chunked",
            "RFC 9110 §5.5",
            b"Transfer-Encoding:\tchunked \t\r\n",
        ),
        _valid(
            "coding-comma-before",
            "a list with an empty element before chunked",
            "RFC 9110 §5.6.1",
            b"Transfer-Encoding: , chunked\r\n",
        ),
        _valid(
            "coding-comma-after",
            "a list with an empty element after chunked",
            "RFC 9110 §5.6.1",
            b"Transfer-Encoding: chunked,\r\n",
        ),
        serves(
            "coding-get",
            "a GET with a chunked body, which is to be read",
            "RFC 9110 §9.3.1",
            get(HOST, CHUNKED, after=BODY + AFTER),
            Wanted(body=b"hello"),
            level="MAY",
        ),
        _not_chunked_last("coding-unknown", "a coding that nobody has", b"Transfer-Encoding: xchunked\r\n"),
        _not_chunked_last(
            "coding-unknown-length",
            "a coding that nobody has, with a length",
            b"Transfer-Encoding: xchunked\r\n",
            LENGTH,
        ),
        _not_chunked_last(
            "coding-suffix", "chunked with a letter after it", b"Transfer-Encoding: chunkedx\r\n", LENGTH
        ),
        _not_chunked_last(
            "coding-cut", "chunked without its last letter", b"Transfer-Encoding: chunke\r\n", LENGTH
        ),
        _not_chunked_last("coding-not-last", "chunked before gzip", b"Transfer-Encoding: chunked, gzip\r\n"),
        _not_chunked_last(
            "coding-not-last-length",
            "chunked before gzip, with a length",
            b"Transfer-Encoding: chunked, gzip\r\n",
            LENGTH,
        ),
        _not_chunked_last(
            "coding-identity",
            "identity, which is no coding any more",
            b"Transfer-Encoding: identity\r\n",
            LENGTH,
        ),
        _not_chunked_last("coding-empty", "no coding at all", b"Transfer-Encoding:\r\n", LENGTH),
        _not_chunked_last(
            "coding-vertical-tab",
            "a vertical tab before chunked",
            b"Transfer-Encoding: \x0bchunked\r\n",
            LENGTH,
        ),
        _not_chunked_last(
            "coding-form-feed", "a form feed before chunked", b"Transfer-Encoding: \x0cchunked\r\n", LENGTH
        ),
        _not_chunked_last(
            "coding-nbsp", "a no-break space before chunked", b"Transfer-Encoding: \xa0chunked\r\n", LENGTH
        ),
        _not_chunked_last("coding-nul", "a NUL after chunked", b"Transfer-Encoding: chunked\x00\r\n", LENGTH),
        _not_chunked_last("coding-quoted", "chunked in quotes", b'Transfer-Encoding: "chunked"\r\n', LENGTH),
        _not_chunked_last(
            "coding-space-within", "chunked with a space in it", b"Transfer-Encoding: chun ked\r\n", LENGTH
        ),
        _not_chunked_last(
            "coding-semicolon",
            "chunked with a semicolon and no parameter, and a length",
            b"Transfer-Encoding: identity;chunked\r\n",
            LENGTH,
        ),
        _not_chunked_last(
            "coding-twice-identity",
            "chunked on one line, identity on the next",
            CHUNKED,
            b"Transfer-Encoding: identity\r\n",
            LENGTH,
        ),
        must_refuse(
            "coding-space-before-colon",
            "a space before the colon",
            "RFC 9112 §5.1",
            post(b"Transfer-Encoding : chunked\r\n", body=BODY),
            twin=TWIN,
        ),
        must_refuse(
            "coding-space-before-colon-length",
            "a space before the colon, and a length",
            "RFC 9112 §5.1",
            post(SIZED, b"Transfer-Encoding : chunked\r\n", body=LEFT_BEHIND),
            twin=TWIN,
        ),
        should_refuse(
            "coding-gzip",
            "gzip before chunked, which few servers decode",
            BOTH,
            post(b"Transfer-Encoding: gzip, chunked\r\n", body=BODY),
            twin=TWIN,
            statuses=(501,),
        ),
        should_refuse(
            "coding-identity-chunked",
            "identity before chunked",
            BOTH,
            post(b"Transfer-Encoding: identity, chunked\r\n", body=BODY),
            CODED,
            twin=TWIN,
        ),
        should_refuse(
            "coding-identity-line",
            "identity on one line, chunked on the next",
            BOTH,
            post(b"Transfer-Encoding: identity\r\n", CHUNKED, body=BODY),
            CODED,
            twin=TWIN,
        ),
        should_refuse(
            "coding-chunked-twice",
            "chunked twice in the list",
            "RFC 9112 §6.1",
            post(b"Transfer-Encoding: chunked, chunked\r\n", body=BODY),
            CODED,
            twin=TWIN,
        ),
        should_refuse(
            "coding-chunked-lines",
            "chunked on two lines",
            "RFC 9112 §6.1",
            post(CHUNKED, CHUNKED, body=BODY),
            CODED,
            twin=TWIN,
        ),
        should_refuse(
            "coding-parameter",
            "chunked with a parameter, which it has none of",
            "RFC 9112 §7.1",
            post(b"Transfer-Encoding: chunked;a=b\r\n", body=BODY),
            CODED,
            twin=TWIN,
        ),
        _both("both-alike", "a length and chunked that agree", LENGTH, CHUNKED),
        _both(
            "both-length-first",
            "a length that goes beyond the last chunk, and a request within it",
            SIZED,
            CHUNKED,
            body=LEFT_BEHIND,
            readings=(EMPTY_BY_CHUNKS,),
        ),
        _both(
            "both-chunked-first",
            "chunked before such a length",
            CHUNKED,
            SIZED,
            body=LEFT_BEHIND,
            readings=(EMPTY_BY_CHUNKS,),
        ),
        _both(
            "both-length-short",
            "a length that ends before a chunk which carries a request",
            b"Content-Length: 4\r\n",
            CHUNKED,
            body=IN_A_CHUNK,
            readings=(
                Reading(
                    "it goes by Transfer-Encoding and closes",
                    "conforms",
                    (posted(SMUGGLED_GET),),
                    goes_on=False,
                ),
            ),
        ),
        _both(
            "both-chunked-length-short",
            "chunked before such a length",
            CHUNKED,
            b"Content-Length: 4\r\n",
            body=IN_A_CHUNK,
            readings=(
                Reading(
                    "it goes by Transfer-Encoding and closes",
                    "conforms",
                    (posted(SMUGGLED_GET),),
                    goes_on=False,
                ),
            ),
        ),
        _both("both-zero", "a length of 0 and a chunked body", b"Content-Length: 0\r\n", CHUNKED),
        _both("both-invalid", "a length with a plus sign, and chunked", b"Content-Length: +5\r\n", CHUNKED),
        _both(
            "both-folded",
            "chunked on a folded line, and a length",
            b"Transfer-Encoding:\r\n chunked\r\n",
            SIZED,
            body=LEFT_BEHIND,
            readings=(EMPTY_BY_CHUNKS,),
        ),
        _both(
            "both-whitespace",
            "chunked with a tab after it, and a length",
            SIZED,
            b"Transfer-Encoding: chunked\t\r\n",
            body=LEFT_BEHIND,
            readings=(EMPTY_BY_CHUNKS,),
        ),
        _both(
            "both-upper-case",
            "Chunked, and a length",
            SIZED,
            b"Transfer-Encoding: Chunked\r\n",
            body=LEFT_BEHIND,
            readings=(EMPTY_BY_CHUNKS,),
        ),
        may_refuse(
            "coding-underscore",
            "Transfer_Encoding, which is another field, and a length",
            "RFC 9110 §5.1",
            post(SIZED, b"Transfer_Encoding: chunked\r\n", body=LEFT_BEHIND),
            Reading("it goes by the length", "conforms", (posted(LEFT_BEHIND),)),
            twin="length-plain",
            level="MUST",
        ),
        may_refuse(
            "coding-other-name",
            "a field whose name begins like Transfer-Encoding, and a length",
            "RFC 9110 §5.1",
            post(SIZED, b"Transfer-Encodings: chunked\r\n", body=LEFT_BEHIND),
            Reading("it goes by the length", "conforms", (posted(LEFT_BEHIND),)),
            twin="length-plain",
            level="MUST",
        ),
    ),
)
