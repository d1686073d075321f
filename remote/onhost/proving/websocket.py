"""A client's end of a WebSocket: the handshake as bytes, the frames by wsproto."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable

from wsproto.connection import Connection, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.extensions import Extension
from wsproto.utilities import RemoteProtocolError

from bench.wire.proving import Exhibit, ProbeOrder, Script, Step
from remote.onhost.proving.connection import ANSWER_SECONDS, NotAnswered, RecordedConnection, open_connection
from remote.onhost.proving.http1 import Header, request
from remote.onhost.proving.witness import script

ACCEPT = Step("send", {"type": "websocket.accept"})
CONNECT = (Step("require", {"type": "websocket"}), Step("receive"))
"""How each script of a WebSocket begins: a server without them calls the app for HTTP."""


def echo() -> Script:
    """An app that accepts and sends every message back."""
    return script(*CONNECT, ACCEPT, Step("echo"))


def upgrade_headers(version: str = "13") -> list[Header]:
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    return [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", version),
        ("Sec-WebSocket-Key", key),
    ]


class Handshake:
    """A connection on which a WebSocket was asked for. ``status`` 101: it is open."""

    def __init__(self, connection: RecordedConnection, received: bytes) -> None:
        head, _, _ = received.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        self.connection = connection
        self.status = int(first.split()[1])
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)
        }
        self.head_bytes = len(head) + 4


def handshake(order: ProbeOrder, asked: Script, *headers: Header, version: str = "13") -> Handshake:
    """Ask for a WebSocket; its connection is to be closed. Raises NotAnswered, OSError."""
    connection = open_connection(order)
    try:
        connection.send(request(order, asked, *upgrade_headers(version), *headers))
        received = connection.wait_for(lambda one: b"\r\n\r\n" in one, "answer to the handshake")
        if not received.startswith(b"HTTP/1."):
            raise NotAnswered(f"the answer to the handshake is no HTTP: {received[:80]!r}")
        return Handshake(connection, received)
    except BaseException:
        connection.close()
        raise


class WebSocketClient:
    """Frames in both directions over anything that carries bytes."""

    def __init__(
        self,
        send: Callable[[bytes], None],
        receive: Callable[[float], bytes],
        extensions: list[Extension] | None = None,
    ) -> None:
        """``receive`` waits so many seconds for more bytes; b"" if none came."""
        self._send = send
        self._receive = receive
        self._frames = Connection(ConnectionType.CLIENT, extensions or [])
        self.texts: list[str] = []
        self.binaries: list[bytes] = []
        self.pongs: list[bytes] = []
        self.close_frame: tuple[int, str] | None = None
        self._text, self._binary = "", b""

    @classmethod
    def over(cls, opened: Handshake, extensions: list[Extension] | None = None) -> WebSocketClient:
        """Over an HTTP/1.1 connection whose handshake was answered with 101."""
        read = opened.head_bytes

        def receive(seconds: float) -> bytes:
            nonlocal read
            opened.connection.read_until(lambda received: len(received) > read, seconds)
            data = bytes(opened.connection.received[read:])
            read += len(data)
            return data

        return cls(opened.connection.send, receive, extensions)

    def send(self, event: Event) -> None:
        self._send(self._frames.send(event))

    def send_text(self, text: str) -> None:
        self.send(TextMessage(data=text))

    def read_until(self, is_there: Callable[[], bool], seconds: float = ANSWER_SECONDS) -> bool:
        deadline = time.monotonic() + seconds
        while not is_there():
            data = self._receive(max(0.0, deadline - time.monotonic()))
            if not data:
                break
            self._frames.receive_data(data)
            try:
                for event in self._frames.events():
                    self._take(event)
            except RemoteProtocolError:
                break
        return is_there()

    def expect(self, is_there: Callable[[], bool], what: str) -> None:
        """Raises NotAnswered, saying that ``what`` lacks."""
        if not self.read_until(is_there):
            raise NotAnswered(f"no {what} came; there are {self.told}")

    @property
    def told(self) -> str:
        return (
            f"texts {self.texts}, binary messages {self.binaries}, pongs {self.pongs}, "
            f"close {self.close_frame}"
        )

    def evidence(self, label: str = "the client read") -> Exhibit:
        return Exhibit.of(label, self.told.encode("latin-1", "backslashreplace"))

    def _take(self, event: Event) -> None:
        if isinstance(event, TextMessage):
            self._text += event.data
            if event.message_finished:
                self.texts.append(self._text)
                self._text = ""
        elif isinstance(event, BytesMessage):
            self._binary += bytes(event.data)
            if event.message_finished:
                self.binaries.append(self._binary)
                self._binary = b""
        elif isinstance(event, Ping):
            self.send(event.response())
        elif isinstance(event, Pong):
            self.pongs.append(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            self.close_frame = (int(event.code), event.reason or "")
