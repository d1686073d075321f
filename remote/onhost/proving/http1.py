"""HTTP/1.1 requests as bytes, and the server's answers to them, read by h11."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import h11

from bench.wire.proving import ProbeOrder, Script
from remote.onhost.proving.connection import ANSWER_SECONDS, NotAnswered, RecordedConnection
from remote.onhost.proving.witness import query_of

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Http1Answer:
    """One answer with the informational ones before it. Header names are in small letters."""

    status: int
    headers: tuple[Header, ...]
    body: bytes
    trailers: tuple[Header, ...] = ()
    informational: tuple[tuple[int, tuple[Header, ...]], ...] = field(default=())

    def header(self, name: str) -> str:
        """Its value, "" where it isn't there; of several, all of them."""
        return ", ".join(value for key, value in self.headers if key == name)


def host_of(order: ProbeOrder) -> str:
    if order.socket:
        return "localhost"
    address = f"[{order.address}]" if ":" in order.address else order.address
    return f"{address}:{order.port}"


def request(
    order: ProbeOrder,
    script: Script | None,
    *headers: Header,
    method: str = "GET",
    path: str = "/",
    body: bytes = b"",
    version: str = "HTTP/1.1",
) -> bytes:
    """A request whose app does what ``script`` says. No header is added but Host."""
    target = path if script is None else f"{path}?{query_of(order, script)}"
    lines = [f"{method} {target} {version}", f"Host: {host_of(order)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answers_in(received: bytes, methods: Sequence[str], ended: bool = False) -> tuple[Http1Answer, ...]:
    """The whole answers at the beginning of ``received`` to requests of these ``methods``.

    ``ended``: the server has closed, which is the end of a body without a length. Raises
    h11.RemoteProtocolError for what is no HTTP.
    """
    found: list[Http1Answer] = []
    left = received
    for method in methods:
        one, left = _first_answer(left, method, ended)
        if one is None:
            break
        found.append(one)
    return tuple(found)


def _first_answer(received: bytes, method: str, ended: bool) -> tuple[Http1Answer | None, bytes]:
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=method, target="/", headers=[("host", "h")]))
    reader.send(h11.EndOfMessage())
    if received:
        reader.receive_data(received)
    if ended:
        reader.receive_data(b"")
    informational: list[tuple[int, tuple[Header, ...]]] = []
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event = reader.next_event()
        if isinstance(event, h11.InformationalResponse):
            informational.append((event.status_code, _headers(event.headers)))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            answer = Http1Answer(
                head.status_code,
                _headers(head.headers),
                bytes(body),
                _headers(event.headers),
                tuple(informational),
            )
            return answer, bytes(reader.trailing_data[0])
        else:
            return None, received


def _headers(raw: object) -> tuple[Header, ...]:
    assert isinstance(raw, (h11._headers.Headers, list))
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)


def read_answers(
    wire: RecordedConnection, *methods: str, seconds: float = ANSWER_SECONDS, begin: int = 0
) -> tuple[Http1Answer, ...]:
    """Wait for one answer to each of ``methods``, in what was received from ``begin`` on.

    Raises NotAnswered.
    """
    wanted = methods or ("GET",)

    def are_there(received: bytes) -> bool:
        return len(_lenient(received[begin:], wanted, bool(wire.ended))) == len(wanted)

    wire.read_until(are_there, seconds)
    found = _lenient(bytes(wire.received[begin:]), wanted, bool(wire.ended))
    if len(found) < len(wanted):
        came = bytes(wire.received[begin : begin + 120])
        after = f", and the connection was {wire.ended}" if wire.ended else ""
        raise NotAnswered(f"{len(found)} of {len(wanted)} answers came: {came!r}{after}")
    return found


def _lenient(received: bytes, methods: Sequence[str], ended: bool) -> tuple[Http1Answer, ...]:
    try:
        return answers_in(received, methods, ended)
    except h11.RemoteProtocolError:
        return ()
