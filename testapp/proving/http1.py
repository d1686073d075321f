"""The app behind the HTTP/1.1 conformance probes: it keeps what it is given, and tells another connection.

Raw ASGI, standard library only. Requests are kept by the client's port, since a probe may send what no parser
finds a path in. ``GET /proving/seen?PORT`` answers with a SeenRequests and forgets them. Paths below
``/answer/`` get answers of a special kind; every other request is read whole and answered with what it was.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from bench.wire.codec import encode_line
from bench.wire.conformance import RequestSeen, SeenRequests

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

SEEN_PATH = "/proving/seen"
SLOW_SECONDS = 0.15
TEXT = (b"content-type", b"text/plain")


class Http1Witness:
    """The app. What it was given waits in memory until it is asked for."""

    def __init__(self) -> None:
        self._seen: dict[int, list[RequestSeen]] = {}

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            if scope["path"] == SEEN_PATH:
                asked = int(scope["query_string"])
                found = SeenRequests(tuple(self._seen.pop(asked, ())))
                await _whole(send, encode_line(found))
            else:
                await self._serve(scope, receive, send)

    async def _serve(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        kept = self._seen.setdefault(_client_port(scope), [])
        place = len(kept)
        kept.append(_request_of(scope))
        if scope["path"] == "/answer/unread":
            await _whole(send, b"unread")
            return
        await self._read(kept, place, receive)
        if kept[place].is_disconnected:
            return  # whatever the client gets now is the server's own
        await _answer(scope["path"], kept[place], send)

    async def _read(self, kept: list[RequestSeen], place: int, receive: Receive) -> None:
        while not kept[place].is_complete and not kept[place].is_disconnected:
            event = await receive()
            if event["type"] == "http.disconnect":
                kept[place] = replace(kept[place], is_disconnected=True)
                continue
            body = kept[place].body + event.get("body", b"").decode("latin-1")
            kept[place] = replace(kept[place], body=body, is_complete=not event.get("more_body", False))


def _client_port(scope: Mapping[str, Any]) -> int:
    client = scope.get("client")
    return int(client[1]) if client else 0  # granian says the port as text


def _request_of(scope: Mapping[str, Any]) -> RequestSeen:
    return RequestSeen(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        http_version=scope["http_version"],
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
        body="",
        is_complete=False,
        is_disconnected=False,
    )


async def _live(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def _answer(path: str, request: RequestSeen, send: Send) -> None:
    if path == "/answer/slow":
        await _sleep(SLOW_SECONDS)
    elif path == "/answer/204":
        await _begin(send, 204, [])
        await _end(send, b"")
        return
    elif path == "/answer/204-with-body":
        await _begin(send, 204, [TEXT])
        await _end(send, b"body")
        return
    elif path == "/answer/304-with-body":
        await _begin(send, 304, [TEXT, (b"etag", b'"1"')])
        await _end(send, b"body")
        return
    elif path == "/answer/without-length":
        await _begin(send, 200, [TEXT])
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await _end(send, b"two")
        return
    elif path == "/answer/too-short":
        await _begin(send, 200, [TEXT, (b"content-length", b"10")])
        await _end(send, b"short")
        return
    elif path == "/answer/too-long":
        await _begin(send, 200, [TEXT, (b"content-length", b"5")])
        await _end(send, b"short and more")
        return
    elif path == "/answer/split":
        await _begin(send, 200, [TEXT, (b"content-length", b"2"), (b"x-one", b"1\r\nX-Two: 2")])
        await _end(send, b"ok")
        return
    elif path == "/answer/close":
        await _whole(send, b"ok", (b"connection", b"close"))
        return
    await _whole(send, f"{request.method} {path}".encode("utf-8", "surrogateescape"))


async def _sleep(seconds: float) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        await sys.modules["trio"].sleep(seconds)
    else:
        await asyncio.sleep(seconds)


async def _whole(send: Send, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    await _begin(send, 200, [TEXT, (b"content-length", str(len(body)).encode()), *headers])
    await _end(send, body)


async def _begin(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _end(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body})


app = Http1Witness()
