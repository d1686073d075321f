"""WebSocket frames as wsproto makes and reads them, however they are cut into pieces."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong
from wsproto.utilities import generate_accept_token

from bench.wire.load import LoadSpec
from bench.wire.websocket import (
    BINARY,
    PING,
    WebSocketError,
    accept_of,
    check_opening,
    close_frame,
    key_of,
    masked_frame,
    opening_request,
    take_frame,
)
from loadgen.onhost.engine.exchange import FramingError
from loadgen.onhost.engine.load import EngineError
from loadgen.onhost.engine.websocket import (
    ClosedByServer,
    EchoExchange,
    RefusedOpening,
    WebSocketOpening,
    encode,
)

SIZES = st.sampled_from([0, 1, 3, 4, 125, 126, 127, 1_000, 65_535, 65_536, 70_001])
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, 1.3, and its answer
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def theirs() -> Connection:
    """The server's end, by wsproto."""
    return Connection(ConnectionType.SERVER)


def payload_of(size: int) -> bytes:
    return hashlib.shake_256(f"{size}".encode()).digest(size)


@given(SIZES, st.binary(min_size=4, max_size=4))
def test_wsproto_reads_what_we_send(size: int, mask: bytes) -> None:
    server = theirs()
    server.receive_data(masked_frame(BINARY, payload_of(size), mask))
    found = b"".join(bytes(event.data) for event in server.events() if isinstance(event, BytesMessage))
    assert found == payload_of(size)


@given(st.binary(max_size=125))
def test_wsproto_takes_our_pong_and_our_farewell(payload: bytes) -> None:
    exchange, server = EchoExchange(), theirs()
    assert exchange.feed(server.send(Ping(payload))) > 0
    server.receive_data(exchange.take_reply())
    assert [event for event in server.events() if isinstance(event, Pong)] == [Pong(payload)]
    assert exchange.take_reply() == b"", "each time once"
    server.receive_data(close_frame(b"mask"))
    assert [event.code for event in server.events() if isinstance(event, CloseConnection)] == [1000]
    assert server.state is ConnectionState.REMOTE_CLOSING


@given(SIZES, st.lists(st.integers(1, 70_100), max_size=6), st.booleans())
def test_the_exchange_reads_what_wsproto_sends(size: int, cuts: list[int], has_ping: bool) -> None:
    server, body = theirs(), payload_of(size)
    sent = (server.send(Ping(b"?")) if has_ping else b"") + server.send(BytesMessage(body))
    exchange = EchoExchange()
    digest = exchange.digest = hashlib.sha256()
    begin = 0
    for end in [*sorted(cut for cut in cuts if cut < len(sent)), len(sent)]:
        assert not exchange.complete
        assert exchange.feed(sent[begin:end]) == end - begin
        begin = end
    assert exchange.complete and exchange.body_length == size
    assert digest.digest() == hashlib.sha256(body).digest()
    assert exchange.head == sent[len(sent) - size - len(exchange.head) : len(sent) - size]
    assert bool(exchange.take_reply()) is has_ping


def test_a_message_in_parts_is_read_and_not_to_be_recognised() -> None:
    server, exchange = theirs(), EchoExchange()
    sent = server.send(BytesMessage(b"one ", message_finished=False)) + server.send(BytesMessage(b"two"))
    digest = exchange.digest = hashlib.sha256()
    assert exchange.feed(sent) == len(sent)
    assert (exchange.complete, exchange.body_length, exchange.head) == (True, 7, b"")
    assert digest.digest() == hashlib.sha256(b"one two").digest()


def test_a_second_message_is_more_than_the_answer_and_a_part_of_the_next_frame_is_kept() -> None:
    server, exchange = theirs(), EchoExchange()
    two = server.send(BytesMessage(b"a")) + server.send(BytesMessage(b"b"))
    assert exchange.feed(two) == -1
    exchange = EchoExchange()
    ping = server.send(Ping(b"x"))
    assert exchange.feed(server.send(BytesMessage(b"a")) + ping[:1]) > 0
    exchange.reset()
    assert exchange.feed(ping[1:] + server.send(BytesMessage(b"b"))) > 0
    assert exchange.complete and exchange.take_reply()


@pytest.mark.parametrize(
    "frame",
    [
        b"\x82\x81mask" + b"a",  # masked, which a server's must not be (RFC 6455, 5.1)
        b"\xc2\x01a",  # compressed, and nothing was agreed on (5.2)
        b"\x83\x01a",  # an opcode that there isn't (5.2)
        b"\x89\x7e\x00\x80" + bytes(128),  # a ping of more than 125 bytes (5.5)
        b"\x09\x00",  # a ping in parts (5.5)
        b"\x82\x7e\x00\x01a",  # a length that isn't in its shortest form (5.2)
        b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff",  # likewise
        b"\x81\x01a",  # text, where bytes were sent
        b"\x80\x01a",  # the rest of a message that never began (5.4)
    ],
)
def test_what_a_server_must_not_send_is_a_framing_error(frame: bytes) -> None:
    with pytest.raises(FramingError) as caught:
        EchoExchange().feed(frame)
    assert caught.value.kind == "bad_framing"


def test_a_close_frame_is_an_end_and_not_bad_framing() -> None:
    with pytest.raises(ClosedByServer) as caught:
        EchoExchange().feed(theirs().send(CloseConnection(1001)))
    assert caught.value.kind == "closed_early"
    assert EchoExchange().end() is False


@given(st.binary(max_size=12))
def test_no_bytes_at_all_crash_the_reader(data: bytes) -> None:
    received = bytearray(data)
    try:
        while take_frame(received) is not None:
            pass
    except WebSocketError:
        pass


# ---------------------------------------------------------------- the opening


def opened(accept: str = ACCEPT, *more: str, status: str = "101 Switching Protocols") -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        "Upgrade: WebSocket",
        "connection: upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    ]
    return "\r\n".join([*lines, *more]).encode()


def test_the_answer_to_a_key_is_that_of_the_rfc_and_of_wsproto() -> None:
    assert accept_of(KEY) == ACCEPT
    ours = key_of(bytes(range(16)))
    assert accept_of(ours) == generate_accept_token(ours.encode()).decode()
    assert check_opening(opened(), KEY) == 101


@pytest.mark.parametrize(
    "head",
    [
        opened("s3pPLMBiTxaQ9kYGzzhZRbK+xOx="),
        opened(ACCEPT, "Sec-WebSocket-Extensions: permessage-deflate"),
        opened().replace(b"WebSocket\r\n", b"h2c\r\n", 1),
        b"SSH-2.0-OpenSSH_9.2",
    ],
)
def test_an_answer_that_opens_something_else_is_refused(head: bytes) -> None:
    with pytest.raises(WebSocketError):
        check_opening(head, KEY)


def test_an_opening_in_pieces_and_one_that_is_refused() -> None:
    load = LoadSpec("::1", 8000, "/x", 0.0, headers={"Accept": "*/*"}, protocol="websocket", body="aGk=")
    opening = WebSocketOpening(load)
    assert opening.request.startswith(b"GET /x HTTP/1.1\r\nHost: [::1]:8000\r\nUpgrade: websocket\r\n")
    assert b"Extensions" not in opening.request, "permessage-deflate is not offered"
    key = opening.request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0].decode()
    assert key != WebSocketOpening(load).request.decode()
    answer = opened(accept_of(key)) + b"\r\n\r\n"
    assert [opening.feed(answer[:20]), opening.feed(answer[20:])] == [False, True]
    with pytest.raises(RefusedOpening) as caught:
        WebSocketOpening(load).feed(opened(status="403 Forbidden") + b"\r\n\r\n")
    assert caught.value.kind == "bad_status"
    with pytest.raises(FramingError):
        WebSocketOpening(load).feed(b"x" * 70_000)
    assert opening_request("a", "/", {}, KEY).endswith(b"\r\n\r\n")


def test_the_load_has_one_message_and_connections_that_stay_open() -> None:
    load = LoadSpec("a", 1, "/", 0.0, protocol="websocket", body="aGk=")
    (frame,) = encode(load)
    server = theirs()
    server.receive_data(frame)
    assert [bytes(event.data) for event in server.events() if isinstance(event, BytesMessage)] == [b"hi"]
    assert frame[1] & 0x80, "a client's frames are masked"
    assert frame[0] & 0x0F == BINARY != PING
    with pytest.raises(EngineError, match="stay open"):
        encode(LoadSpec("a", 1, "/", 0.0, protocol="websocket", keep_alive=False))
