"""What a load is: the requests to send, the answers to expect, and when to send. Controller to engine.

The controller makes one LoadSpec a run. It travels through Locust's master and each load worker to what sends
the requests, and each of them reads the same type.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SMALL_BODY_BYTES = 16_384
"""The longest body that is kept on the load host, so that every other answer can be compared with it."""

LoadMode = Literal["closed", "open"]
"""``closed``: a connection sends when it is answered. ``open``: requests are due at given times."""


@dataclass(frozen=True, slots=True)
class Rotate:
    """One header whose value changes from request to request. Worker i of W begins at i/W of the values."""

    header: str
    values: tuple[str, ...]  # at least one; each request carries the next
    prefix: str = ""  # stands before each value


@dataclass(frozen=True, slots=True)
class Expect:
    """What an answer must be to count as good."""

    status: int = 200
    length: int | None = None  # of the body, in bytes; None: any
    # Lower-case hex of the body's SHA-256: none, one for all requests, or one for each of Rotate.values.
    body_sha256: tuple[str, ...] = ()
    # Of the same bodies, in bytes; () where they aren't known.
    lengths: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """The load of one run, over all load workers."""

    # Where the requests go.
    host: str  # a name or an address; an IPv6 address without brackets
    port: int
    path: str
    # The controller's monotonic clock, in seconds, at which slice 0 begins.
    epoch: float

    # What is sent. Host and Content-Length are added to the headers.
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""  # base64
    rotate: Rotate | None = None
    # "http/1.1", "websocket", or "h2": by ALPN with TLS, else by prior knowledge.
    protocol: str = "http/1.1"
    keep_alive: bool = True  # False: `Connection: close`, and a connection for each request
    tls: bool = False
    tls_ca_file: str | None = None  # a path on the load host; None: the authorities that the system trusts
    tls_certificate: str = ""  # in PEM: the only one that is trusted, in place of a file; "": there is none
    server_name: str | None = None  # for TLS and the Host header; None: ``host``

    # How answers are checked.
    expect: Expect = Expect()
    # One request in so many has its whole body hashed. 1: every body is checked, which is cheap for small
    # ones (SMALL_BODY_BYTES): they are compared with one whose hash was right.
    hash_sample_every: int = 1000
    timeout_seconds: float = 10  # for each request, and for each connect

    # {load worker: seconds} to add to the controller's monotonic clock to get that of the worker's host; a
    # worker left out has 0.
    clock_offsets: dict[str, float] = field(default_factory=dict)
    # The paths whose answers the measured app counts; read where a user's own locustfile sends.
    counted_paths: tuple[str, ...] = ()

    # How long the load is to last from the epoch on; None: until it is stopped. A program that can't be told
    # to stop, and has something to say at its end, is started for so long.
    seconds: float | None = None

    # All connections are opened at once, and rest until so long after the epoch; of a closed load.
    hold_seconds: float = 0.0
    mode: LoadMode = "closed"
    # The rest is of an open load.
    # Requests per second of all workers together; request j of worker i of W is due at epoch + (jW + i)/rate.
    rate_per_second: float | None = None
    arrivals: Literal["constant", "poisson"] = "constant"  # evenly spaced, or independent of each other
    seed: int = 0  # of Poisson arrivals: the same seed gives the same times
    # Requests of one worker that were due while all connections were busy, at most; the next are dropped.
    max_backlog: int = 0

    @property
    def is_open(self) -> bool:
        return self.mode == "open"
