"""One message over a WebSocket, and what comes back: a part of answers.py. Shipped; standard library only."""

from __future__ import annotations

import base64
import os
import socket

from bench.wire.answers import AnswerRequest
from bench.wire.websocket import (
    BINARY,
    CLOSE,
    KEY_BYTES,
    WebSocketError,
    check_opening,
    close_frame,
    key_of,
    masked_frame,
    opening_request,
    take_frame,
)

MOST_FRAMES = 100


def echo(peer: socket.socket, host: str, request: AnswerRequest) -> bytes:
    """The message that answers the request's. Raises WebSocketError, OSError."""
    key, mask = key_of(os.urandom(KEY_BYTES)), os.urandom(4)
    peer.sendall(opening_request(host, request.path, request.headers, key))
    received = bytearray()
    while b"\r\n\r\n" not in received:
        received += _some(peer)
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    status = check_opening(head, key)
    if status != 101:
        raise WebSocketError(f"the connection isn't opened: status {status}")
    peer.sendall(masked_frame(BINARY, base64.b64decode(request.body), mask))
    message = _message(peer, bytearray(rest))
    peer.sendall(close_frame(mask))
    return message


def _message(peer: socket.socket, received: bytearray) -> bytes:
    """The next whole message, pings left unanswered: it comes at once."""
    message = b""
    for _ in range(MOST_FRAMES):
        while (frame := take_frame(received)) is None:
            received += _some(peer)
        if frame.opcode == CLOSE:
            raise WebSocketError(f"the server closes the connection with {frame.payload!r}")
        if not frame.is_control:
            message += frame.payload
            if frame.is_last:
                return message
    raise WebSocketError(f"no message in {MOST_FRAMES} frames")


def _some(peer: socket.socket) -> bytes:
    data = peer.recv(1 << 16)
    if not data:
        raise WebSocketError("the server has closed the connection without a word")
    return data
