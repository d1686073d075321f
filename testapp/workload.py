"""What a workload is: one kind of request, how the app answers it, and which answer is right.

A file in testapp/workloads/ holds one, as ``WORKLOAD``. Shipped, and imported by the controller too, which
has no Starlette: such a file imports the standard library and testapp at its top, and what else it needs to
answer inside ``answerer``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from testapp.pool import Database

    Answerer = Callable[[Request], Response | Awaitable[Response]]
    """Answers one request. A plain function answers in the event loop and must not wait for anything."""

    Talker = Callable[[WebSocket, Callable[[], None]], Awaitable[None]]
    """Talks over one WebSocket until it is closed, and calls the function given for each message answered."""

PLAIN_TEXT = "text/plain; charset=utf-8"


class Workload(ABC):
    """One kind of request. Everything is the same for the same seed, on every host.

    A body below is the bytes of a request's or an answer's content, without its headers.
    """

    name: ClassVar[str]  # for --endpoints, in results and reports: [a-z0-9-]+
    description: ClassVar[str]  # what it does, for help texts and the report
    # Its place among the endpoints that a benchmark measures unless told otherwise; None: only where named.
    default_place: ClassVar[int | None] = None

    # The request.
    method: ClassVar[str] = "GET"
    # (name, value) of each header besides Host, Content-Length, User-Agent and Accept.
    headers: ClassVar[tuple[tuple[str, str], ...]] = ()
    request_length_bytes: ClassVar[int] = 0  # of its body
    rotates_tokens: ClassVar[bool] = False  # each request carries the bearer token of the next user
    # "http/1.1", or "websocket": a request is then one message over an open connection, its body the message.
    protocol: ClassVar[str] = "http/1.1"

    # The right answer. Status, length and framing of every answer are checked, and its body byte for byte:
    # of every answer where they are small, of a sample where they are not.
    status: ClassVar[int] = 200
    content_type: ClassVar[str]  # the header's whole value
    length_bytes: ClassVar[int | None] = None  # of its body; None: users have answers of different lengths

    # PostgreSQL's transactions for one request by the app's code; None: the database isn't used. Each query
    # is one, and so is asyncpg's reset of a connection that goes back to the pool.
    transactions_per_request: ClassVar[int | None] = None

    @property
    def path(self) -> str:
        return f"/api/{self.name}"

    def request_body(self, seed: int) -> bytes:
        """The body of every request: ``request_length_bytes`` bytes."""
        return b""

    @abstractmethod
    def bodies(self, seed: int) -> tuple[bytes, ...]:
        """The body of the right answer; with ``rotates_tokens`` that of each user, by user index."""

    @abstractmethod
    def answerer(self, database: Database) -> Answerer | Talker:
        """What answers a request in the app, which counts the answers itself. Starlette is there.

        Of a workload over WebSocket it is a Talker.
        """
