"""One probe's exchange: a request over a connection of its own, and what the app noted of it."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remote.onhost.conformance.asgi.answer import RawAnswer, answer_in
from remote.onhost.proving.connection import RecordedConnection
from testapp.proving.asgi import STEPS_HEADER
from testapp.proving.record import Noted, read_record
from testapp.proving.steps import Step, encode_steps

PATIENCE_SECONDS = 2.0
"""For what must come: after so long it is taken to hang."""
SETTLE_SECONDS = 0.6
"""From the end of the connection to the end of the app's call, as long as nothing keeps it."""
POLL_SECONDS = 0.005
ENDS = ("returned", "raised", "cancelled")


@dataclass(frozen=True, slots=True)
class AsgiPlace:
    """Where the server listens, and where its app takes notes."""

    address: str
    port: int
    witness: Path


@dataclass(frozen=True, slots=True)
class Asked:
    """The request of a probe. Nothing is added to it but Host and the steps."""

    method: str = "GET"
    target: bytes = b"/asgi"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    version: bytes = b"HTTP/1.1"

    def encoded(self, token: str, steps: list[Step]) -> bytes:
        lines = [b" ".join((self.method.encode(), self.target, self.version)), b"Host: asgibench.test"]
        lines += [name + b": " + value for name, value in self.headers]
        lines += [STEPS_HEADER + b": " + encode_steps(token, steps).encode()]
        return b"\r\n".join([*lines, b"", b""]) + self.body


@dataclass(slots=True)
class AsgiExchange:
    """A request that is being made. A probe's client drives it."""

    place: AsgiPlace
    asked: Asked
    steps: list[Step]
    wire: RecordedConnection
    client: tuple[str, int]  # our end of the connection
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    facts: dict[str, Any] = field(default_factory=dict)  # what the client itself has seen
    tokens: dict[str, str] = field(default_factory=dict)  # of further requests over it, by name

    @property
    def request(self) -> bytes:
        return self.asked.encoded(self.token, self.steps)

    @property
    def answer(self) -> RawAnswer | None:
        return answer_in(bytes(self.wire.received), self.asked.method, ended=bool(self.wire.ended))

    def notes(self, name: str = "") -> tuple[Noted, ...]:
        """Of this request, or of a further one."""
        return read_record(self.place.witness, self.tokens[name] if name else self.token)

    def read_answer(self, seconds: float = PATIENCE_SECONDS) -> RawAnswer | None:
        """The whole answer, or what has come of it in this time."""
        self.wire.read_until(lambda _: (found := self.answer) is not None and found.is_complete, seconds)
        return self.answer

    def until_noted(
        self, is_there: Callable[[Noted], bool], seconds: float = PATIENCE_SECONDS, name: str = ""
    ) -> bool:
        """Whether the app notes it in this time."""
        deadline = time.monotonic() + seconds
        while not any(map(is_there, self.notes(name))):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def until_ended(self, seconds: float = PATIENCE_SECONDS, name: str = "") -> bool:
        """Whether the app's call ends in this time."""
        return self.until_noted(lambda one: one.what in ENDS, seconds, name)

    def further(self, name: str, steps: list[Step], asked: Asked | None = None) -> bytes:
        """Another request, whose notes are found by ``name``."""
        self.tokens[name] = secrets.token_hex(8)
        return (asked or Asked()).encoded(self.tokens[name], steps)


def open_exchange(place: AsgiPlace, asked: Asked, steps: list[Step]) -> AsgiExchange:
    """Raises OSError."""
    peer = socket.create_connection((place.address, place.port), timeout=PATIENCE_SECONDS)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return AsgiExchange(place, asked, steps, RecordedConnection(peer), peer.getsockname()[:2])


@dataclass(frozen=True, slots=True)
class AsgiObserved:
    """What came of an exchange: both sides of it."""

    exchange: AsgiExchange
    notes: tuple[Noted, ...]

    @property
    def answer(self) -> RawAnswer | None:
        return self.exchange.answer

    @property
    def status(self) -> int:
        """0 where there was no answer."""
        return 0 if self.answer is None else self.answer.status

    @property
    def facts(self) -> dict[str, Any]:
        return self.exchange.facts

    @property
    def ended(self) -> str:
        """How the server ended the connection: "closed", "reset", or "" where it did not."""
        return self.exchange.wire.ended

    @property
    def is_reached(self) -> bool:
        return any(one.what == "scope" for one in self.notes)

    @property
    def scope(self) -> dict[Any, Any]:
        return next((one.more["scope"] for one in self.notes if one.what == "scope"), {})

    @property
    def spec_version(self) -> tuple[int, ...]:
        """As the server says it; what it leaves out is 2.0."""
        asgi = self.scope.get("asgi")
        text = asgi.get("spec_version", "2.0") if isinstance(asgi, dict) else "2.0"
        return tuple(int(part) for part in str(text).split(".") if part.isdigit())

    @property
    def received(self) -> tuple[Any, ...]:
        """The events that came to the app, in their order."""
        return tuple(one.more["message"] for one in self.notes if one.what == "received")

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(str(one.get("type")) for one in self.received)

    @property
    def outcome(self) -> str:
        """How the app's call ended; "" where it goes on."""
        return next((one.what for one in self.notes if one.what in ENDS), "")

    def noted(self, what: str) -> tuple[Noted, ...]:
        return tuple(one for one in self.notes if one.what == what)

    @property
    def refusals(self) -> tuple[str, ...]:
        """What sending raised, each as ``Class: text``."""
        return tuple(f"{one.more['classes'][0]}: {one.more['text']}" for one in self.noted("refused"))
