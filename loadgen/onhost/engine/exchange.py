"""What the engine asks of a protocol: how requests become bytes, and how bytes become answers.

A connection has one exchange at a time: a request is sent whole, and its answer is read to the end before the
next one is sent. protocols.py has the protocols that there are; another one is another LoadProtocol there.
The hot loop recognises answers by their bytes without asking the protocol: only those whose ``head`` and
length an exchange has reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bench.wire.load import LoadSpec


class FramingError(Exception):
    """What came is not of the protocol, or not the answer to this request."""

    kind = "bad_framing"  # of the failure that it is counted as


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: memoryview, /) -> object: ...

    def hexdigest(self) -> str: ...


class Exchange(Protocol):
    """One answer at a time, from bytes in pieces of any size.

    ``feed`` until ``complete``; at the end of the connection ``end``. Then the other attributes hold. A
    ``digest`` set before the first byte is fed gets the whole body.
    """

    status: int
    body_length: int  # in bytes
    complete: bool
    closes: bool  # the connection can't be used again
    counted: bool  # the head has the body's length
    head: bytes  # all bytes before the body; empty where answers with this head are not to be recognised
    digest: Digest | None

    def reset(self) -> None:
        """Get ready for the next answer."""

    def feed(self, data: bytes) -> int:
        """Take bytes as they came; returns how many of them belong to this answer. Raises FramingError."""

    def end(self) -> bool:
        """The connection has ended: is the answer complete?"""


class Opening(Protocol):
    """A handshake that opens one connection, after TLS."""

    request: bytes

    def feed(self, data: bytes) -> bool:
        """Take bytes of its answer; whether the connection is open. Raises FramingError."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Of a protocol whose connections are opened by a handshake of their own."""

    opening: Callable[[LoadSpec], Opening]  # a new one for each connection
    # What an exchange owes the server besides requests (an answer to its ping), each time once.
    reply_of: Callable[[Exchange], bytes]
    farewell: bytes  # sent before a connection is closed


@dataclass(frozen=True, slots=True)
class LoadProtocol:
    """A protocol that the engine can drive."""

    alpn: str  # its name in TLS
    # The bytes of each distinct request, in the order of LoadSpec.rotate. Raises EngineError.
    encode: Callable[[LoadSpec], tuple[bytes, ...]]
    # An exchange for one connection.
    new_exchange: Callable[[LoadSpec], Exchange]
    opened: Opened | None = None  # None: a connection is there once it is connected
