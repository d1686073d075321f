"""One HTTP/3 request over QUIC, by aioquic, and what came of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived, PushPromiseReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, QuicEvent

from bench.wire.proving import Exhibit, ProbeOrder, Script
from remote.onhost.proving.connection import ANSWER_SECONDS
from remote.onhost.proving.http1 import Header
from remote.onhost.proving.http2 import get

SILENT_SECONDS = 0.8
"""How long is waited for a server that isn't set up for QUIC."""


@dataclass(slots=True)
class Http3Story:
    """What came of one request. ``problem`` is "" where it was answered whole."""

    problem: str = ""
    alpn: str = ""
    status: int = 0
    headers: tuple[Header, ...] = ()
    body: bytearray = field(default_factory=bytearray)
    trailers: tuple[Header, ...] = ()
    promised: list[tuple[Header, ...]] = field(default_factory=list)
    ended: bool = False
    datagrams: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def evidence(self, label: str = "") -> tuple[Exhibit, ...]:
        named = f"{label}: " if label else ""
        told = "\n".join([*self.notes, self.problem]).strip() or "(nothing)"
        first = self.datagrams[0] if self.datagrams else b""
        return (
            Exhibit.of(f"{named}the server's first datagram", first, 200),
            Exhibit.of(f"{named}what came over QUIC, decrypted and read", told.encode()),
        )


class _Protocol(QuicConnectionProtocol):
    """Collects into a story."""

    story: Http3Story
    h3: H3Connection | None = None
    done: asyncio.Event

    def datagram_received(self, data: bytes | str, addr: object) -> None:
        self.story.datagrams.append(data if isinstance(data, bytes) else data.encode())
        super().datagram_received(data, addr)

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            self.story.alpn = event.alpn_protocol or ""
            self.story.notes.append(f"handshake completed, ALPN {self.story.alpn!r}")
        if isinstance(event, ConnectionTerminated):
            if not self.story.ended:
                self.story.problem = f"terminated: {event.error_code} {event.reason_phrase}".strip()
            self.done.set()
        if self.h3 is not None:
            for one in self.h3.handle_event(event):
                self._take(one)

    def _take(self, event: H3Event) -> None:
        story = self.story
        self.story.notes.append(repr(event)[:300])
        if isinstance(event, PushPromiseReceived):
            story.promised.append(_headers(event.headers))
        elif isinstance(event, HeadersReceived) and event.push_id is None:
            found = _headers(event.headers)
            if story.status:
                story.trailers = found
            else:
                story.headers, story.status = found, int(dict(found).get(":status", "0"))
            story.ended = story.ended or event.stream_ended
        elif isinstance(event, DataReceived) and event.push_id is None:
            story.body += event.data
            story.ended = story.ended or event.stream_ended
        if story.ended:
            self.done.set()


def http3_get(
    order: ProbeOrder,
    script: Script | None,
    *headers: Header,
    alpn: Sequence[str] = H3_ALPN,
    port: int | None = None,
) -> Http3Story:
    """Ask, and collect the answer; a handshake that fails is told in the story's ``problem``."""
    story = Http3Story()
    try:
        asyncio.run(asyncio.wait_for(_ask(order, script, headers, alpn, port, story), ANSWER_SECONDS * 2))
    except TimeoutError:
        story.problem = story.problem or "no handshake"
    except (OSError, ConnectionError) as error:
        story.problem = story.problem or f"no handshake: {type(error).__name__} {error}".strip()
    if not story.datagrams:
        story.problem = "nothing answers over QUIC"
    return story


async def _ask(
    order: ProbeOrder,
    script: Script | None,
    headers: Sequence[Header],
    alpn: Sequence[str],
    port: int | None,
    story: Http3Story,
) -> None:
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=list(alpn), server_name=order.address, verify_mode=ssl.CERT_REQUIRED
    )
    configuration.load_verify_locations(cafile=order.certificate)
    configuration.idle_timeout = ANSWER_SECONDS if "h3" in order.launches else SILENT_SECONDS

    def protocol(*given: object, **named: object) -> _Protocol:
        made = _Protocol(*given, **named)  # type: ignore[arg-type]
        made.story, made.done = story, asyncio.Event()
        return made

    async with connect(
        order.address, port or order.port, configuration=configuration, create_protocol=protocol
    ) as client:
        assert isinstance(client, _Protocol)
        client.h3 = H3Connection(client._quic)
        stream = client._quic.get_next_available_stream_id()
        pairs = [(name.encode(), value.encode()) for name, value in get(order, script, *headers)]
        client.h3.send_headers(stream, pairs, end_stream=True)
        client.transmit()
        try:
            await asyncio.wait_for(client.done.wait(), ANSWER_SECONDS)
        except TimeoutError:
            story.problem = story.problem or "no whole answer"


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> tuple[Header, ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)
