"""WebSocket: each message is sent as one masked frame, made once, and its echo is one answer.

No extension is offered, so that nothing is compressed. The mask is the same for every frame: it is there to
keep browsers from fooling proxies, and no browser is here.
"""

from __future__ import annotations

import os

from bench.wire.load import LoadSpec
from bench.wire.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY_BYTES,
    PING,
    PONG,
    WebSocketError,
    check_opening,
    close_frame,
    key_of,
    masked_frame,
    opening_request,
    take_frame,
)
from loadgen.onhost.engine.exchange import Digest, FramingError, LoadProtocol, Opened, Opening
from loadgen.onhost.engine.http1 import host_header
from loadgen.onhost.engine.load import EngineError, body_of

_MASK = b"\x1b\xa5\x9e\x37"
_HEAD_LIMIT_BYTES = 65_536


def encode(load: LoadSpec) -> tuple[bytes, ...]:
    """The frame of the one message. Raises EngineError."""
    if load.rotate is not None or not load.keep_alive:
        raise EngineError("over WebSocket every message is the same, and connections stay open")
    return (masked_frame(BINARY, body_of(load), _MASK),)


class EchoExchange:
    """One message of the server's at a time; its control frames are answered or obeyed.

    What came of the next frame is kept for it. ``take_reply`` has the frames that are owed to the server.
    """

    __slots__ = (
        "_received",
        "_reply",
        "body_length",
        "closes",
        "complete",
        "counted",
        "digest",
        "head",
        "status",
    )

    def __init__(self) -> None:
        self._received = bytearray()
        self._reply = b""
        self.digest: Digest | None = None
        self.closes = False
        self.counted = True
        self.status = 101
        self.reset()

    def reset(self) -> None:
        self.body_length = 0
        self.complete = False
        self.digest = None
        self.head = b""

    def feed(self, data: bytes) -> int:
        """All of ``data``, or -1 where another message comes behind this one. Raises FramingError."""
        received = self._received
        received += data
        try:
            while (frame := take_frame(received)) is not None:
                if frame.opcode == CLOSE:
                    raise ClosedByServer("the server closes the connection")
                if frame.opcode == PING:
                    self._reply += masked_frame(PONG, frame.payload, _MASK)
                elif not frame.is_control:
                    if self.complete:
                        return -1
                    if frame.opcode != (CONTINUATION if self.body_length or self.head == b"-" else BINARY):
                        raise FramingError(f"a message begins with opcode {frame.opcode}")
                    self.head = frame.header if frame.is_last and not self.head else b"-"
                    self.body_length += len(frame.payload)
                    if self.digest is not None:
                        self.digest.update(memoryview(frame.payload))
                    self.complete = frame.is_last
        except WebSocketError as error:
            raise FramingError(str(error)) from error
        if self.complete and self.head == b"-":
            self.head = b""  # it came in parts: not to be recognised
        return len(data)

    def end(self) -> bool:
        return False

    def take_reply(self) -> bytes:
        """What is to be sent to the server now; given once."""
        reply, self._reply = self._reply, b""
        return reply


class ClosedByServer(FramingError):
    """A close frame came."""

    kind = "closed_early"


class WebSocketOpening:
    """The opening handshake of one connection."""

    __slots__ = ("_key", "_received", "request")

    def __init__(self, load: LoadSpec) -> None:
        self._key = key_of(os.urandom(KEY_BYTES))
        self._received = b""
        self.request = opening_request(host_header(load), load.path, load.headers, self._key)

    def feed(self, data: bytes) -> bool:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            if len(self._received) > _HEAD_LIMIT_BYTES:
                raise FramingError(f"a head of more than {_HEAD_LIMIT_BYTES} bytes")
            return False
        try:
            status = check_opening(head, self._key)
        except WebSocketError as error:
            raise FramingError(str(error)) from error
        if status != 101:
            raise RefusedOpening(f"the connection isn't opened: status {status}")
        if rest:
            raise FramingError("the server sends a message before it was sent one")
        return True


class RefusedOpening(FramingError):
    """The server answers with another status than 101."""

    kind = "bad_status"


def reply_of(exchange: object) -> bytes:
    assert isinstance(exchange, EchoExchange)
    return exchange.take_reply()


def _opening(load: LoadSpec) -> Opening:
    return WebSocketOpening(load)


WEBSOCKET = LoadProtocol(
    "http/1.1", encode, lambda load: EchoExchange(), Opened(_opening, reply_of, close_frame(_MASK))
)
