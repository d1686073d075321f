"""The measured app behind faults: `faulty_app:wrong` and so on, for a server of a test's own catalogue.

Each is the real app (testapp.app:app) with one thing wrong that begins within the load. Run on a host by a
server: standard library and testapp only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from testapp.app import app

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]

HANGING_MOST = 3


class Load:
    """Requests of the load so far; the first answers, by which a server is taken to be ready, are not."""

    def __init__(self) -> None:
        self.requests = 0
        self.began_at = 0.0

    def is_one_of(self, scope: Message) -> bool:
        """Counts it if it is."""
        if scope["type"] != "http" or scope["path"] == "/api/process":
            return False
        # Before the load a server is asked once or a few times.
        self.requests += 1
        if self.requests == 20:
            self.began_at = time.monotonic()
        return self.requests > 20

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began_at


def faulty(fault: Callable[[Load], Callable[[Message, Receive, Send], Awaitable[None]]]) -> Asgi:
    load = Load()
    answer = fault(load)

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        await (answer if load.is_one_of(scope) else app)(scope, receive, send)

    return serve


def _wrong(load: Load) -> Asgi:
    """From the third second on, question marks in place of the body: its length and head are right."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        async def send_wrong(message: Message) -> None:
            if load.seconds > 3 and message["type"] == "http.response.body":
                message = {**message, "body": b"?" * len(message["body"])}
            await send(message)

        await app(scope, receive, send_wrong)

    return answer


def _others(percent: int) -> Callable[[Load], Asgi]:
    """Of the answers, so many per cent are those to the request before: another user's."""

    def fault(load: Load) -> Asgi:
        before: list[Message] = []

        async def answer(scope: Message, receive: Receive, send: Send) -> None:
            own: list[Message] = []

            async def keep(message: Message) -> None:
                own.append(message)

            is_wrong = load.requests % 100 < percent and before
            await app(scope, receive, keep)
            for message in list(before) if is_wrong else own:
                await send(message)
            before[:] = own

        return answer

    return fault


def _hanging(load: Load) -> Asgi:
    """One request in 1,786 (0.056 %) is never answered, until HANGING_MOST are not."""
    hanging = 0

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal hanging
        if load.seconds > 1.5 and load.requests % 1_786 == 0 and hanging < HANGING_MOST:
            hanging += 1
            await asyncio.sleep(3_600)
        await app(scope, receive, send)

    return answer


def _stalling(load: Load) -> Asgi:
    """0.5 s of each 1.5 s nothing is answered."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        since = load.seconds % 1.5
        if since >= 1.0:
            time.sleep(1.5 - since)
        await app(scope, receive, send)

    return answer


def _closing(load: Load) -> Asgi:
    """Each answer ends its connection."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        async def send_closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await app(scope, receive, send_closing)

    return answer


def _stopping(load: Load) -> Asgi:
    """The process is stopped in mid-window, for good; with several workers, the first that comes to it."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if load.seconds > 2.5 and _is_first():
            os.kill(os.getpid(), signal.SIGSTOP)
        await app(scope, receive, send)

    return answer


def _stopping_half(load: Load) -> Asgi:
    """As `stopping`, after connections were spread: they come all at once, and one worker may accept all."""
    closing, stopping = _closing(load), _stopping(load)

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        is_to_spread = load.seconds < 0.8 and load.requests % 5 == 0
        await (closing if is_to_spread else stopping)(scope, receive, send)

    return answer


def _is_first() -> bool:
    mark = Path(tempfile.gettempdir()) / f"asgibench-test-stopped-{os.getppid()}-{os.getsid(0)}"
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


wrong, hanging, stalling = faulty(_wrong), faulty(_hanging), faulty(_stalling)
closing, stopping, half = faulty(_closing), faulty(_stopping), faulty(_stopping_half)
others5, others9 = faulty(_others(5)), faulty(_others(9))
