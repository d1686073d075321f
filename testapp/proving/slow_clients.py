"""The app that slow clients meet, `testapp.proving.slow_clients:app`. Raw ASGI; standard library only.

``/``: 200 and ``ok``. ``/long``: 430,000 bytes at once. ``/endless?BYTES``: blocks without end, until so
many bytes are sent; how many ``send`` has taken stands in the folder ``ASGIBENCH_WITNESS`` in the file
``sent``. ``/read``: answers once the body is there. ``/unread?SECONDS``: does not read it, and answers
then. ``/late``: answers after a while.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from testapp.proving.loops import sleep

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SENT_FILE = "sent"
COUNT = struct.Struct("<Q")
LONG_BYTES = 430_000
BLOCK_BYTES = 65_536
LATE_SECONDS = 0.5


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    path, given = scope["path"], scope["query_string"].decode()
    if path == "/endless":
        await _endless(send, int(given))
        return
    if path == "/read":
        await _read(receive)
    elif path == "/unread":
        await sleep(float(given))
    elif path == "/late":
        await sleep(LATE_SECONDS)
    await _whole(send, bytes(LONG_BYTES) if path == "/long" else b"ok")


async def _live(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _whole(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Receive) -> None:
    while True:
        event = await receive()
        if event["type"] != "http.request" or not event.get("more_body", False):
            return


async def _endless(send: Send, most_bytes: int) -> None:
    """It lets others run between two blocks, as an app does that reads them from somewhere."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    file = os.open(Path(os.environ["ASGIBENCH_WITNESS"], SENT_FILE), os.O_WRONLY | os.O_CREAT, 0o600)
    sent = 0
    try:
        while sent < most_bytes:
            # A block of its own each time: one that is sent again and again would be held once.
            await send(
                {
                    "type": "http.response.body",
                    "body": os.urandom(16) * (BLOCK_BYTES // 16),
                    "more_body": True,
                }
            )
            sent += BLOCK_BYTES
            os.pwrite(file, COUNT.pack(sent), 0)
            await sleep(0)
    finally:
        os.close(file)
    await send({"type": "http.response.body", "body": b""})
