"""A client's end of HTTP/2: requests, and what came on each stream, read by h2."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from bench.wire.proving import Exhibit, ProbeOrder, Script
from remote.onhost.proving.connection import ANSWER_SECONDS, NotAnswered, RecordedConnection
from remote.onhost.proving.http1 import Header, host_of
from remote.onhost.proving.witness import query_of

ENABLE_PUSH = 0x2
ENABLE_CONNECT_PROTOCOL = 0x8
"""RFC 8441, 3."""


@dataclass(slots=True)
class StreamStory:
    """What came on one stream."""

    status: int = 0
    headers: tuple[Header, ...] = ()
    body: bytearray = field(default_factory=bytearray)
    trailers: tuple[Header, ...] = ()
    informational: list[tuple[int, tuple[Header, ...]]] = field(default_factory=list)
    pushed: list[tuple[int, tuple[Header, ...]]] = field(default_factory=list)  # (stream, request's headers)
    ended: bool = False
    reset: int | None = None  # the error code


class Http2Client:
    """One connection. ``settings`` are what the server has set."""

    def __init__(
        self,
        connection: RecordedConnection,
        *,
        settings: Mapping[int, int] = {},
        upgraded: h2.connection.H2Connection | None = None,
    ) -> None:
        """``settings`` are ours; ``upgraded`` is one whose stream 1 is the request that asked for HTTP/2."""
        self.connection = connection
        self.streams: dict[int, StreamStory] = {}
        self.settings: dict[int, int] = {}
        self.has_settings = False
        self.terminated = ""
        self._read = 0
        self._notes: list[str] = []
        if upgraded is None:
            self._h2 = new_connection()
            values = {**dict(self._h2.local_settings), **settings}
            self._h2.local_settings = h2.settings.Settings(
                client=True,
                initial_values={h2.settings.SettingCodes(code): value for code, value in values.items()},
            )
            self._h2.initiate_connection()
        else:
            self._h2 = upgraded
            self.streams[1] = StreamStory()
        self._flush()

    def begin_reading_at(self, position: int) -> None:
        """What was received before it is no HTTP/2."""
        self._read = position

    def request(self, headers: Sequence[Header], body: bytes = b"", *, end: bool = True) -> int:
        """The stream that it is sent on."""
        stream = self._h2.get_next_available_stream_id()
        self.streams[stream] = StreamStory()
        self._h2.send_headers(stream, list(headers), end_stream=end and not body)
        if body:
            self._h2.send_data(stream, body, end_stream=end)
        self._flush()
        return stream

    def send_data(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self._h2.send_data(stream, data, end_stream=end)
        self._flush()

    def read_until(self, is_there: Callable[[], bool], seconds: float = ANSWER_SECONDS) -> bool:
        """Read until ``is_there``, the server ends the connection, or the time is over."""
        deadline = time.monotonic() + seconds
        while not is_there() and not self.terminated:
            if not self.connection.read_until(self._has_more, deadline - time.monotonic()):
                break
            self._take(bytes(self.connection.received[self._read :]))
        return is_there()

    def answer(self, stream: int, seconds: float = ANSWER_SECONDS) -> StreamStory:
        """The whole answer. Raises NotAnswered."""
        story = self.streams[stream]
        if not self.read_until(lambda: story.ended or story.reset is not None, seconds):
            raise NotAnswered(f"stream {stream} has no whole answer: {self.told or 'nothing came'}")
        return story

    def await_settings(self, seconds: float = ANSWER_SECONDS) -> bool:
        """Whether the server's SETTINGS came."""
        return self.read_until(lambda: self.has_settings, seconds)

    @property
    def told(self) -> str:
        """Every event in a line of its own."""
        return "\n".join(self._notes)

    def evidence(self, label: str = "") -> tuple[Exhibit, ...]:
        named = f"{label}: " if label else ""
        return (
            *self.connection.evidence(label),
            Exhibit.of(f"{named}the server's frames, read", self.told.encode()),
        )

    def _has_more(self, received: bytes) -> bool:
        return len(received) > self._read

    def _take(self, data: bytes) -> None:
        self._read += len(data)
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            self.terminated = f"{type(error).__name__}: {error}"
            self._notes.append(self.terminated)
            return
        for event in events:
            self._note(event)
        self._flush()

    def _note(self, event: h2.events.Event) -> None:
        self._notes.append(repr(event)[:300])
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self.has_settings = True
            self.settings |= {int(code): one.new_value for code, one in event.changed_settings.items()}
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.terminated = f"GOAWAY {event.error_code}"
        elif isinstance(event, h2.events.PushedStreamReceived):
            pushed = event.pushed_stream_id or 0
            self.streams[pushed] = StreamStory()
            self._story(event.parent_stream_id).pushed.append((pushed, _headers(event.headers)))
        elif isinstance(event, h2.events.DataReceived):
            self._story(event.stream_id).body += event.data or b""
            if event.flow_controlled_length:
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id or 0)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            found = _headers(event.headers)
            self._story(event.stream_id).informational.append((_status(found), found))
        elif isinstance(event, h2.events.ResponseReceived):
            story = self._story(event.stream_id)
            story.headers = _headers(event.headers)
            story.status = _status(story.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            self._story(event.stream_id).trailers = _headers(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            self._story(event.stream_id).ended = True
        elif isinstance(event, h2.events.StreamReset):
            self._story(event.stream_id).reset = int(event.error_code or 0)

    def _story(self, stream: int | None) -> StreamStory:
        return self.streams.setdefault(stream or 0, StreamStory())

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self.connection.send(data)


def new_connection() -> h2.connection.H2Connection:
    """One that sends whatever it is told to: probes send what isn't allowed, too."""
    config = h2.config.H2Configuration(
        client_side=True,
        header_encoding=None,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
    )
    return h2.connection.H2Connection(config)


def get(order: ProbeOrder, script: Script | None, *headers: Header, method: str = "GET") -> list[Header]:
    """The headers of a request."""
    path = "/" if script is None else f"/?{query_of(order, script)}"
    return [
        (":method", method),
        (":scheme", "https" if order.tls else "http"),
        (":authority", host_of(order)),
        (":path", path),
        *headers,
    ]


def _headers(raw: object) -> tuple[Header, ...]:
    pairs: list[tuple[object, object]] = list(raw or ())  # type: ignore[call-overload]
    return tuple((_text(name), _text(value)) for name, value in pairs)


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _status(headers: Sequence[Header]) -> int:
    return int(dict(headers).get(":status", "0"))
