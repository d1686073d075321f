"""One request over what the server agrees to: HTTP/2 by ALPN where it has that, else HTTP/1.1."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.wire.proving import Exhibit, ProbeOrder, Script
from remote.onhost.proving.alpn import selected_alpn
from remote.onhost.proving.connection import ANSWER_SECONDS, NotAnswered, RecordedConnection, open_connection
from remote.onhost.proving.http1 import Header, read_answers, request
from remote.onhost.proving.http2 import Http2Client, get

BREAK_SECONDS = 1.0
"""How long an answer may take that may break off."""


@dataclass(frozen=True, slots=True)
class AnyAnswer:
    """An answer over either protocol."""

    protocol: str  # "HTTP/1.1", "HTTP/2"
    status: int
    body: bytes
    trailers: tuple[Header, ...]
    informational: tuple[tuple[int, tuple[Header, ...]], ...]
    evidence: tuple[Exhibit, ...]

    @property
    def told(self) -> str:
        """For a reader: what came."""
        if not self.status:
            return "the answer breaks off"
        return f"status {self.status}, a body of {len(self.body):,} bytes"

    def named(self, label: str) -> tuple[Exhibit, ...]:
        """Its evidence, told from another answer's."""
        return tuple(replace(one, label=f"{label}: {one.label}") for one in self.evidence)


def ask(
    order: ProbeOrder, asked: Script, *headers: Header, quiet_seconds: float = ANSWER_SECONDS
) -> AnyAnswer:
    """Raises NotAnswered where no whole answer has come after ``quiet_seconds``."""
    with open_connection(order, alpn=("h2", "http/1.1") if order.tls else ()) as wire:
        protocol = "HTTP/2" if order.tls and selected_alpn(wire) == "h2" else "HTTP/1.1"
        return _answered(order, wire, protocol, asked, headers, quiet_seconds)


def _answered(
    order: ProbeOrder,
    wire: RecordedConnection,
    protocol: str,
    asked: Script,
    headers: tuple[Header, ...],
    seconds: float,
) -> AnyAnswer:
    if protocol == "HTTP/2":
        client = Http2Client(wire)
        story = client.answer(client.request(get(order, asked, *headers)), seconds)
        return AnyAnswer(
            protocol,
            story.status,
            bytes(story.body),
            story.trailers,
            tuple(story.informational),
            client.evidence(),
        )
    wire.send(request(order, asked, *headers))
    (one,) = read_answers(wire, seconds=seconds)
    return AnyAnswer(protocol, one.status, one.body, one.trailers, one.informational, wire.evidence())


def ask_leniently(order: ProbeOrder, asked: Script, *headers: Header) -> AnyAnswer:
    """The same; an answer that breaks off has the status 0 and whatever came as its evidence."""
    with open_connection(order, alpn=("h2", "http/1.1") if order.tls else ()) as wire:
        protocol = "HTTP/2" if order.tls and selected_alpn(wire) == "h2" else "HTTP/1.1"
        try:
            return _answered(order, wire, protocol, asked, headers, BREAK_SECONDS)
        except NotAnswered as error:
            told = Exhibit.of("what came of it", str(error).encode())
            return AnyAnswer(protocol, 0, b"", (), (), (*wire.evidence(), told))
