"""The engine's parser frames responses as h11 does, however they are cut into pieces."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadgen.onhost.engine.exchange import FramingError
from loadgen.onhost.engine.http1 import ResponseParser


@dataclass(frozen=True)
class Framing:
    """A response as understood: ``surplus`` bytes came after it, ``closes`` ends its connection."""

    status: int
    body_sha256: str
    body_length: int
    closes: bool
    surplus: int


def by_h11(method: str, pieces: list[bytes]) -> Framing | None:
    """What h11 makes of it; None when there is no complete response."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    status, body, left = 0, b"", sum(map(len, pieces))
    try:
        for piece in [*(piece for piece in pieces if piece), b""]:
            connection.receive_data(piece)
            left -= len(piece)
            while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    closes = connection.their_state is not h11.DONE or not piece  # the end of the file
                    surplus = left + len(connection.trailing_data[0])
                    return Framing(status, hashlib.sha256(body).hexdigest(), len(body), closes, surplus)
    except h11.RemoteProtocolError:
        return None
    return None


def by_engine(method: str, pieces: list[bytes], parser: ResponseParser | None = None) -> Framing | None:
    parser = ResponseParser(method) if parser is None else parser
    parser.reset()
    parser.digest = hashlib.sha256()
    taken = 0
    try:
        for piece in pieces:
            taken += parser.feed(piece)
        if not parser.complete and not parser.end():
            return None
    except FramingError:
        return None
    surplus = sum(map(len, pieces)) - taken
    return Framing(parser.status, parser.digest.hexdigest(), parser.body_length, parser.closes, surplus)


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in pairwise(edges)]


methods = st.sampled_from(["GET", "HEAD"])
tokens = st.text("abcXYZ-09", min_size=1, max_size=6)
values = st.text("aZ09 \t,;=\"'\x80\xff", max_size=12).map(str.strip)
line_ends = st.sampled_from(["\r\n"] * 8 + ["\n"])
plain_headers = st.tuples(st.sampled_from(["X-", "Content-Type", "Date", "", "x_"]), tokens, values).map(
    lambda parts: f"{parts[0]}{parts[1]}: {parts[2]}"
)
odd_headers = st.sampled_from(
    [
        "Connection: close",
        "connection: Keep-Alive, CLOSE",
        "Connection: keep-alive",
        "Content-Length: 3",
        "Content-Length: 3, 3",
        "Content-Length: 3,4",
        "Content-Length: -1",
        "Content-Length: +3",
        "Content-Length:",
        "Content-Length: 999999999999999999999",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "TRANSFER-ENCODING:\tChunked",
        "X: folded\r\n  on",
        " starts: folded",
        "no colon",
        "sp ace: x",
        "ctl: a\x0bb",
        ": empty",
        "nul: a\x00b",
    ]
)
status_lines = st.builds(
    "HTTP/{} {}{}".format,
    st.sampled_from(["1.1"] * 6 + ["1.0", "0.9", "2.0", "1.x"]),
    st.sampled_from([200] * 6 + [404, 204, 304, 500, 999, 100, 101, 103, 99]),
    st.sampled_from([" OK", "", " ", " Not \xe4 thing", " tab\there"]),
)


@st.composite
def heads(draw: st.DrawFn, framing: str) -> str:
    headers = draw(
        st.lists(plain_headers | odd_headers if draw(st.integers(0, 3)) == 0 else plain_headers, max_size=4)
    )
    if framing:
        headers.insert(draw(st.integers(0, len(headers))), framing)
    end = draw(line_ends)
    return end.join([draw(status_lines), *headers, "", ""])


@st.composite
def chunked_bodies(draw: st.DrawFn) -> bytes:
    stream = b""
    for data in draw(st.lists(st.binary(min_size=1, max_size=40), max_size=4)):
        size = draw(
            st.sampled_from(
                ["{:x}", "{:X}", "00{:x}", "{:x};a=b", "{:x} ", "{:x};", "{:x}\t", " {:x}", "0x{:x}"]
            )
        )
        stream += size.format(len(data)).encode() + b"\r\n" + data
        stream += draw(st.sampled_from([b"\r\n"] * 12 + [b"\n", b"", b"\r\r\n"]))
    end = draw(
        st.sampled_from(
            ["0\r\n\r\n"] * 4 + ["0\r\nTrailer: x\r\n\r\n", "0\r\nbad\r\n\r\n", "000;x\r\n\n", "0\n\n", ""]
        )
    )
    return stream + end.encode()


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Whatever a server may send in answer to one request: good, bad, cut short or with more after it."""
    interim = "".join(
        draw(
            st.lists(
                st.sampled_from(["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"]),
                max_size=2,
            )
        )
    )
    kind = draw(st.sampled_from(["counted", "counted", "chunked", "to the end"]))
    if kind == "counted":
        body = draw(st.binary(max_size=80))
        framing = f"Content-Length: {len(body) + draw(st.sampled_from([0] * 6 + [1, -1]))}"
    elif kind == "chunked":
        body, framing = draw(chunked_bodies()), "Transfer-Encoding: chunked"
    else:
        body, framing = draw(st.binary(max_size=80)), ""
    stream = interim.encode() + draw(heads(framing)).encode("latin-1") + body
    stream += draw(st.sampled_from([b""] * 3 + [b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\x00"]))
    if draw(st.integers(0, 3)) == 0 and stream:
        at = draw(st.integers(0, len(stream) - 1))
        stream = draw(
            st.sampled_from([stream[:at], stream[:at] + draw(st.binary(max_size=2)) + stream[at + 1 :]])
        )
    return stream


@settings(max_examples=1000)
@given(methods, streams(), st.lists(st.integers(0, 1 << 16), max_size=12))
@example("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [])
@example("GET", b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", [1])
@example("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", [])
def test_framing_is_h11s_for_whatever_comes_in_whatever_pieces(
    method: str, stream: bytes, cuts: list[int]
) -> None:
    pieces = cut(stream, cuts)
    assert by_engine(method, pieces) == by_h11(method, pieces) == by_h11(method, [stream])


WHOLE_RESPONSES = [
    b"HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    b"HTTP/1.0 200 OK\n\nuntil the end",
    b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\n\r\n\r\n",
]


@pytest.mark.parametrize("stream", WHOLE_RESPONSES)
def test_every_cut_into_two_and_every_byte_alone_is_the_same_response(stream: bytes) -> None:
    whole = by_h11("GET", [stream])
    assert whole is not None
    for at in range(len(stream) + 1):
        assert by_engine("GET", [stream[:at], stream[at:]]) == whole, at
    assert by_engine("GET", [bytes([byte]) for byte in stream]) == whole


@given(st.lists(st.tuples(streams(), st.lists(st.integers(0, 1 << 16), max_size=4)), max_size=5))
def test_a_parser_forgets_the_response_before(rounds: list[tuple[bytes, list[int]]]) -> None:
    parser = ResponseParser()
    for stream, cuts in rounds:
        pieces = cut(stream, cuts)
        assert by_engine("GET", pieces, parser) == by_h11("GET", pieces)


def test_a_body_larger_than_any_buffer_is_counted_to_the_byte() -> None:
    body = bytes(range(256)) * 40_000
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:3_000_000], body[3_000_000:])
    )
    for stream in (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + body,
    ):
        framing = by_engine("GET", [stream[at : at + 65_536] for at in range(0, len(stream), 65_536)])
        assert framing is not None
        assert (framing.body_length, framing.body_sha256) == (len(body), hashlib.sha256(body).hexdigest())


def test_a_head_without_an_end_is_given_up() -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000
    for piece_bytes in (1_000, len(head)):
        parser = ResponseParser()
        with pytest.raises(FramingError, match="more than"):
            for at in range(0, len(head), piece_bytes):
                parser.feed(head[at : at + piece_bytes])


LIMIT = 65_536
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: "
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("over", [-2, -1, 0, 1, 2, 5_000])
@pytest.mark.parametrize("pieces", [1, 2, 3, 70])
def test_how_long_a_head_may_be_does_not_depend_on_how_it_is_cut(over: int, pieces: int) -> None:
    filler = b"y" * (LIMIT + over - len(HEAD) - 4)
    long_head = HEAD + filler + b"\r\n\r\nok"
    long_line = CHUNKED + b"2;" + b"y" * (LIMIT + over - 4) + b"\r\nok\r\n0\r\n\r\n"
    for stream in (long_head, long_line):
        step = len(stream) // pieces + 1
        cuts = [stream[at : at + step] for at in range(0, len(stream), step)]
        assert (by_engine("GET", cuts) is not None) is (over <= 0), (over, pieces)


def test_what_cannot_be_a_status_line_is_refused_before_it_ends() -> None:
    for stream in (b"SSH-2.0-OpenSSH_9.6", b"HTTQ", b"220 mail ready", b"\x16\x03\x01"):
        for pieces in ([stream], [bytes([byte]) for byte in stream]):
            parser = ResponseParser()
            with pytest.raises(FramingError, match="status line"):
                for piece in pieces:
                    parser.feed(piece)
    parser = ResponseParser()
    assert parser.feed(b"HTT") + parser.feed(b"P/1") == 6
