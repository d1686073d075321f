"""What a probe of HTTP/2 is: the frames it sends behind the preface, and what the rule asks for then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.wire.conformance import Judgement, Level, RequestSeen
from remote.onhost.conformance.h2.frames import H2Frame

Asked = Literal["served", "stream error", "malformed", "connection error", "look"]
"""``served``: the stream is answered with 200, and the connection goes on. ``stream error``: RST_STREAM, or
the end of the connection. ``malformed``: the same, or an answer from 400 on, and the app isn't given it.
``connection error``: the connection ends. ``look``: as ``inspect`` says."""


@dataclass(frozen=True, slots=True)
class H2Outcome:
    """What the server did. ``end``: "closed", "reset", or "open"."""

    frames: tuple[H2Frame, ...]
    statuses: dict[int, int]  # {stream: status of its answer}
    ended_streams: frozenset[int]  # those whose answer is whole
    marks: tuple[bytes, ...]  # the payloads of PINGs that were acknowledged
    end: str
    seen: tuple[RequestSeen, ...]
    received: bytes

    def of(self, kind: int) -> tuple[H2Frame, ...]:
        return tuple(one for one in self.frames if one.kind == kind)


@dataclass(frozen=True, slots=True)
class H2Probe:
    """One row. ``codes`` are the errors that the rule names; ``raw``: it sends its own preface."""

    name: str
    title: str
    rule: str
    asked: Asked
    sent: bytes
    codes: tuple[str, ...] = ("PROTOCOL_ERROR",)
    level: Level = "MUST"
    streams: tuple[int, ...] = (1,)
    raw: bool = False
    inspect: Callable[[H2Outcome], tuple[Judgement, str]] | None = None


@dataclass(frozen=True, slots=True)
class H2Subject:
    """The probes of one file, under one heading."""

    title: str
    place: int
    probes: tuple[H2Probe, ...]


def served(name: str, title: str, rule: str, sent: bytes, *streams: int, level: Level = "MUST") -> H2Probe:
    return H2Probe(name, title, rule, "served", sent, (), level, streams or (1,))


def malformed(name: str, title: str, rule: str, sent: bytes) -> H2Probe:
    return H2Probe(name, title, rule, "malformed", sent)


def stream_error(name: str, title: str, rule: str, sent: bytes, *codes: str) -> H2Probe:
    return H2Probe(name, title, rule, "stream error", sent, codes or ("PROTOCOL_ERROR",))


def connection_error(name: str, title: str, rule: str, sent: bytes, *codes: str) -> H2Probe:
    return H2Probe(name, title, rule, "connection error", sent, codes or ("PROTOCOL_ERROR",))
