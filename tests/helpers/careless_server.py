"""A server that takes no care: ``python careless_server.py PORT MODULE:APP``. Probes must find it out.

It serves enough HTTP/1.1 for probes to reach the app. What it does wrong is named in the environment variable
CARELESS, separated by commas; without it, it does only this wrong: ``send`` never waits for the client.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import Any


class Connection(asyncio.Protocol):
    """One request for each connection."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._received = b""
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, _ = self._received.partition(b"\r\n\r\n")
        if separator and not self._tasks:
            self._tasks.add(asyncio.get_running_loop().create_task(self._serve(head)))

    async def _serve(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.decode("latin-1").split(" ")
        path, _, query = target.partition("?")
        pairs = (line.partition(b":") for line in lines)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.lower(), value.strip()) for name, _, value in pairs],
        }
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            lines = [b"HTTP/1.1 200 OK", *(name + b": " + value for name, value in message["headers"])]
            self._transport.write(b"\r\n".join([*lines, b"", b""]))
        else:
            self._transport.write(message.get("body", b""))


async def main(port: int, where: str) -> None:
    module, _, name = where.partition(":")
    app = getattr(importlib.import_module(module), name)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(app), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
