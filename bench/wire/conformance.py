"""What a suite of conformance probes prints, and what its app tells it.

A ProbeOrder in, a ConformanceReport out. Bytes are texts in which whatever isn't printable ASCII is
escaped as Python does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Judgement = Literal["conforms", "allowed", "weak", "violates", "untested"]
"""``violates``: against a MUST or MUST NOT; ``weak``: against a SHOULD or SHOULD NOT; ``allowed``: the RFC
leaves the choice, and this is not the stricter one."""

Level = Literal["MUST", "SHOULD", "MAY"]

SHOWN_BYTES = 400
"""Of one piece of evidence."""


@dataclass(frozen=True, slots=True)
class ConformanceFinding:
    """One probe's outcome and whether the rule allows it."""

    suite: str
    probe: str
    subject: str  # probes of one subject are shown together
    title: str  # what was sent: "Content-Length with a plus sign"
    rule: str  # what it is held against: "RFC 9112 §6.3"
    level: Level
    judgement: Judgement
    why: str  # what the server did, for a reader, without a full stop
    sent: str
    received: str
    app_saw: str  # the requests that reached the app, "" where none did


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """What came of an order. ``problem`` says why nothing was probed, or why the rest wasn't."""

    problem: str
    findings: tuple[ConformanceFinding, ...]


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """One request as the app was given it. Texts stand for latin-1 bytes."""

    method: str
    path: str  # as the scope has it, decoded
    query: str
    http_version: str
    headers: tuple[tuple[str, str], ...]
    body: str
    is_complete: bool  # the event with more_body False came
    is_disconnected: bool  # http.disconnect came before that

    def header(self, name: str) -> tuple[str, ...]:
        """Every value of a field, in their order."""
        return tuple(value for key, value in self.headers if key.lower() == name)


@dataclass(frozen=True, slots=True)
class SeenRequests:
    """Those that came over one connection, in their order."""

    requests: tuple[RequestSeen, ...]


def shown(content: bytes, limit_bytes: int = SHOWN_BYTES) -> str:
    """Bytes as evidence, and how many of their end are left out."""
    text = content[:limit_bytes].decode("latin-1").encode("unicode_escape").decode()
    left_out = len(content) - limit_bytes
    return text if left_out <= 0 else f"{text}… (and {left_out:,} bytes)"
