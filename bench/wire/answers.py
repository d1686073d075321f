"""What answers.py is asked on the server's host, and what it prints: a ReadyOrder in, a ServerReady out."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.wire.observation import Configuration, ServerSeen


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """One request whose answer is taken."""

    name: str  # the endpoint's
    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""  # base64
    protocol: str = "http/1.1"  # or "websocket": the body is sent as one message, and its echo is the answer


@dataclass(frozen=True, slots=True)
class ReadyOrder:
    """Wait until a server is ready, then take one answer for each of ``requests``."""

    address: str  # as the server's own host reaches it; an IPv6 address without brackets
    port: int
    pid: int  # the server's leader: once it has gone, there is nothing to wait for
    workers: int  # how many distinct processes must answer
    deadline_seconds: float  # how long to wait for them
    process_path: str  # where the app says which process it is
    log_path: str  # where the server's output goes, absolute
    requests: tuple[AnswerRequest, ...]
    socket: str = ""  # the path of the Unix socket that it listens on in place of the port; "": none
    # The path of the server's certificate, which is trusted; "": it speaks no TLS.
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class TakenAnswer:
    """One endpoint's answer."""

    status: int
    content_type: str  # "" without the header
    content_length: str  # the header as it came, "" without it
    length: int  # of the body, in bytes
    sha256: str  # of the body, lower-case hex


@dataclass(frozen=True, slots=True)
class ServerReady:
    """How the waiting ended."""

    ready: bool
    seconds: float  # how long it took
    pids: tuple[int, ...]  # the distinct processes that have answered
    problem: str  # what was wrong last; "" where it is ready
    # What one of its processes says of itself (testapp/process.py), as it is kept in the results.
    configuration: Configuration
    answers: dict[str, TakenAnswer] = field(default_factory=dict)  # by endpoint; empty unless ready
    seen: ServerSeen | None = None  # None unless ready
