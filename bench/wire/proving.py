"""Proofs on a running server: what the app is told to do, what it saw, what is asked of probes and found.

A probe writes a Script beside the app, ``ORDER.witness/TOKEN.script``, and names it in its request's query,
``?script=TOKEN``; the app does what it says (testapp/proving/app.py). What the app saw it adds to the file
``ORDER.witness/TOKEN``, a line for each Seen; so a probe has both sides of the story, whatever became of the
connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["works", "absent", "advertised", "untested"]
"""``advertised``: the app finds it in its scope, and on the wire it does not work."""

WITNESS_VARIABLE = "ASGIBENCH_WITNESS"
NONCE_VARIABLE = "ASGIBENCH_NONCE"
WRAPPER_VARIABLE = "ASGIBENCH_WRAPPER"
LIFESPAN_TOKEN = "lifespan"
STATE_KEY = "asgibench_nonce"
SCRIPT_KEY = "script"
SHOWN_BYTES = 1_500
"""Of one piece of evidence."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the app does.

    ``require``: a scope of the message's ``type``; where it is another, the app answers with 200 and that
    other type, and does no more. ``receive``: one event. ``drain``: events until the body is whole or the
    client has gone. ``send``: a message, in which the texts of headers, links, body and bytes stand for
    latin-1 bytes, and ``file`` is a path that is opened; ``otherwise``: the same, if the send before it
    raised. ``echo``: a WebSocket's messages, until it is closed. ``remember``: keys of the scope's state are
    set. ``raise``: an exception. What a send raises is noted, and the script goes on.
    """

    do: Literal["require", "receive", "drain", "send", "otherwise", "echo", "remember", "raise"]
    message: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Script:
    """What the app does with one request. Whatever it does, it notes what it saw under ``token``."""

    token: str
    steps: tuple[Step, ...]

    @property
    def query(self) -> str:
        """Of the request that asks for it."""
        return f"{SCRIPT_KEY}={self.token}"

    @property
    def file_name(self) -> str:
        return script_file(self.token)


def token_of(query: str) -> str | None:
    """None where the query names no script."""
    name, _, token = query.partition("=")
    return token if name == SCRIPT_KEY and token.replace("-", "").isalnum() else None


def script_file(token: str) -> str:
    """In the folder where the app notes what it saw."""
    return f"{token}.script"


@dataclass(frozen=True, slots=True)
class Seen:
    """One line of what the app saw. Bytes are texts of latin-1; a long body is its length and its hash."""

    what: Literal["scope", "received", "sent", "raised", "end"]
    detail: dict[str, object] = field(default_factory=dict)
    at: float = 0.0  # on the host's monotonic clock, in seconds


@dataclass(frozen=True, slots=True)
class ProbeOrder:
    """A server that was started, and what is to be probed of it."""

    launches: tuple[str, ...]  # the names of the ways it was started in
    pid: int  # the server's leader: once it has gone, there is nothing to wait for
    address: str  # an IPv6 address without brackets
    port: int  # that of its command; where it has a Unix socket, nothing is to listen there
    socket: str  # the path of its Unix socket, "" where it has none
    tls: bool
    certificate: str  # the path of what its certificate is signed by, "" without TLS
    nonce: str  # what the app knows from its environment
    witness: str  # the folder where the app notes what it saw
    ready_seconds: float  # how long to wait for its first answer
    available: tuple[str, ...]  # every launch that this server can be started in
    log: str = ""  # the path of what the server prints


@dataclass(frozen=True, slots=True)
class Exhibit:
    """Bytes from the wire, or what the app saw.

    ``text`` is the bytes with whatever isn't printable ASCII escaped as Python does, so that
    ``text.encode().decode("unicode_escape").encode("latin-1")`` is the bytes again.
    """

    label: str  # for a reader: "the client sent"
    text: str
    left_out_bytes: int = 0  # of its end

    @classmethod
    def of(cls, label: str, content: bytes, shown_bytes: int = SHOWN_BYTES) -> Exhibit:
        shown = content[:shown_bytes]
        text = shown.decode("latin-1").encode("unicode_escape").decode()
        return cls(label, text, len(content) - len(shown))


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """What one probe found in one launch."""

    feature: str
    title: str
    reference: str  # what it is held against: "RFC 9112, 9.3"
    launch: str
    verdict: Verdict
    reason: str  # for a reader, without its full stop
    evidence: tuple[Exhibit, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownFeature:
    """A feature that there is a probe for."""

    name: str
    title: str
    reference: str
    launches: tuple[str, ...]  # where it is probed


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What came of an order. ``problem`` says why the server was not ready, and then nothing was probed."""

    problem: str
    findings: tuple[ProbeFinding, ...]
    known: tuple[KnownFeature, ...]  # every feature, probed or not
