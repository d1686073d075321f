"""/api/websocket-echo: messages of 1,000 bytes come in over WebSocket, and the same go out.

It shows what a round trip costs once a connection is open.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from testapp.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.websockets import WebSocket

    from testapp.pool import Database
    from testapp.workload import Talker


class WebSocketEcho(Workload):
    """Every message of a benchmark is the same, made from its seed; binary, and never compressed."""

    name = "websocket-echo"
    description = "each WebSocket message, byte for byte; a request is a round trip"
    protocol = "websocket"
    request_length_bytes = 1_000
    status = 101  # of the answer that opens a connection
    content_type = ""  # messages have none
    length_bytes = 1_000

    def request_body(self, seed: int) -> bytes:
        return hashlib.shake_256(f"asgibench websocket {seed}".encode()).digest(self.request_length_bytes)

    def bodies(self, seed: int) -> tuple[bytes, ...]:
        return (self.request_body(seed),)

    def answerer(self, database: Database) -> Talker:
        from starlette.websockets import WebSocketDisconnect

        async def talk(socket: WebSocket, count: Callable[[], None]) -> None:
            await socket.accept()
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                count()
                try:
                    await socket.send({**_content(message), "type": "websocket.send"})
                except WebSocketDisconnect:
                    return

        return talk


def _content(message: object) -> dict[str, object]:
    """Of a received message: as bytes, or as text."""
    assert isinstance(message, dict)
    binary = message.get("bytes")
    return {"text": message["text"]} if binary is None else {"bytes": binary}


WORKLOAD = WebSocketEcho()
