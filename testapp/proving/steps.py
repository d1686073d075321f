"""What a probe of ASGI has the app do with one request: steps, in the request's own header.

A step is a list: its name, then what it takes. Whatever a step does or meets is noted (record.py).

    receive S           one event, waited for S seconds at most
    body S              events until the request's body is whole or the client has gone
    disconnect S        events until the client has gone
    send M              a message; what it raises goes on into the server
    attempt M           a message; what it raises is noted, and the next step follows
    pour M N S          a message, N times, but not after S seconds; an exception ends the step
    echo S              a WebSocket's messages sent back, until it is closed
    sleep S             nothing, for S seconds
    state K V           a key of the scope's state is set, where there is one
    mark                the scope is marked
    raise               an exception
    together [..] [..]  several lists of steps at once

Shipped; standard library only.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from bench.wire.codec import plain_of
from testapp.proving.loops import sleep, together, within
from testapp.proving.record import Record, from_plain, to_plain

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Step = list[Any]

MARK = "asgibench.mark"
RAISED_ON_PURPOSE = "asgibench raised this on purpose"
# Of a pour: a note each so many messages.
POURED_BETWEEN_NOTES = 16


class RaisedOnPurpose(Exception):
    """What the step ``raise`` raises."""


def encode_steps(token: str, steps: list[Step]) -> str:
    """The header's value."""
    return base64.urlsafe_b64encode(json.dumps([token, to_plain(steps)]).encode()).decode()


def decode_steps(value: bytes) -> tuple[str, list[Step]]:
    token, steps = plain_of(base64.urlsafe_b64decode(value))
    return token, from_plain(steps)


class Player:
    """Plays steps on one scope."""

    def __init__(self, scope: Message, receive: Receive, send: Send, record: Record) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._note = record.note

    async def play(self, steps: list[Step]) -> None:
        for name, *given in steps:
            await getattr(self, f"step_{name}")(*given)

    async def _one(self, seconds: float) -> Message | None:
        try:
            message: Message = await within(seconds, self._receive)
        except TimeoutError:
            self._note("nothing came", seconds=seconds)
            return None
        self._note("received", message=message)
        return message

    async def step_receive(self, seconds: float) -> None:
        await self._one(seconds)

    async def step_body(self, seconds: float) -> None:
        digest, length = hashlib.sha256(), 0
        while (message := await self._one(seconds)) is not None and message["type"] == "http.request":
            digest.update(message.get("body", b""))
            length += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._note("body", length=length, sha256=digest.hexdigest())
                return

    async def step_disconnect(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (message := await self._one(max(0.0, deadline - time.monotonic()))) is not None:
            if message["type"].endswith(".disconnect") or time.monotonic() > deadline:
                return

    async def step_echo(self, seconds: float) -> None:
        while (message := await self._one(seconds)) is not None:
            if message["type"] == "websocket.disconnect":
                return
            if message["type"] == "websocket.receive":
                key = "text" if message.get("text") is not None else "bytes"
                await self._send({"type": "websocket.send", key: message[key]})

    async def step_send(self, message: Message) -> None:
        try:
            await self._send(message)
        except BaseException as error:
            self._note("refused", type=message.get("type"), **_told(error))
            raise
        self._note("sent", type=message.get("type"))

    async def step_attempt(self, message: Message) -> None:
        with contextlib.suppress(Exception):
            await self.step_send(message)

    async def step_pour(self, message: Message, times: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        poured = 0
        try:
            while poured < times and time.monotonic() < deadline:
                await within(max(0.01, deadline - time.monotonic()), partial(self._send, message))
                poured += 1
                if poured % POURED_BETWEEN_NOTES == 0:
                    self._note("poured", times=poured)
                    await sleep(0)
        except TimeoutError:
            self._note("send waits", times=poured)
        except Exception as error:
            self._note("refused", type=message.get("type"), times=poured, **_told(error))
        else:
            self._note("poured", times=poured)

    async def step_sleep(self, seconds: float) -> None:
        await sleep(seconds)
        self._note("slept", seconds=seconds)

    async def step_state(self, key: str, value: object) -> None:
        if "state" in self._scope:
            self._scope["state"][key] = value

    async def step_mark(self) -> None:
        self._scope[MARK] = True

    async def step_raise(self) -> None:
        raise RaisedOnPurpose(RAISED_ON_PURPOSE)

    async def step_together(self, *several: list[Step]) -> None:
        await together(*(partial(self.play, steps) for steps in several))


def _told(error: BaseException) -> dict[str, Any]:
    """Of an exception: its class with all that it descends from, and its text."""
    return {"classes": [kind.__qualname__ for kind in type(error).__mro__], "text": str(error)[:300]}
