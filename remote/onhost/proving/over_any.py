"""One request over what the server agrees to: HTTP/2 by ALPN where it has that, else HTTP/1.1."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.wire.proving import Exhibit, ProbeOrder, Script
from remote.onhost.proving.alpn import selected_alpn
from remote.onhost.proving.connection import ANSWER_SECONDS, open_connection
from remote.onhost.proving.http1 import Header, read_answers, request
from remote.onhost.proving.http2 import Http2Client, get


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
        return f"status {self.status}, a body of {len(self.body):,} bytes"

    def named(self, label: str) -> tuple[Exhibit, ...]:
        """Its evidence, told from another answer's."""
        return tuple(replace(one, label=f"{label}: {one.label}") for one in self.evidence)


def ask(
    order: ProbeOrder, asked: Script, *headers: Header, quiet_seconds: float = ANSWER_SECONDS
) -> AnyAnswer:
    """Raises NotAnswered where no whole answer has come after ``quiet_seconds``."""
    with open_connection(order, alpn=("h2", "http/1.1") if order.tls else ()) as wire:
        if order.tls and selected_alpn(wire) == "h2":
            client = Http2Client(wire)
            story = client.answer(client.request(get(order, asked, *headers)), quiet_seconds)
            return AnyAnswer(
                "HTTP/2",
                story.status,
                bytes(story.body),
                story.trailers,
                tuple(story.informational),
                client.evidence(),
            )
        wire.send(request(order, asked, *headers))
        (one,) = read_answers(wire, seconds=quiet_seconds)
        return AnyAnswer("HTTP/1.1", one.status, one.body, one.trailers, one.informational, wire.evidence())
