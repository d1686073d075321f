"""The app that ASGI itself is proven with, `testapp.proving.asgi:app`.

It does with each request what the request's header ``x-asgibench-steps`` says (steps.py), and notes what it
saw in the folder ``ASGIBENCH_WITNESS``. A request without that header is answered with 200 and ``ok``.

``ASGIBENCH_LIFESPAN`` names how its lifespan goes, "" for the ordinary one. Shipped; standard library only.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable

from testapp.proving.loops import loop_identity, sleep
from testapp.proving.record import FOLDER_VARIABLE, Record
from testapp.proving.steps import (
    RAISED_ON_PURPOSE,
    Message,
    Player,
    RaisedOnPurpose,
    Receive,
    Send,
    decode_steps,
)

STEPS_HEADER = b"x-asgibench-steps"
LIFESPAN_VARIABLE = "ASGIBENCH_LIFESPAN"
LIFESPAN_TOKEN = "lifespan"
STARTED_KEY = "asgibench.started"
STARTED_VALUE = "set at start-up"
SHARED_KEY = "asgibench.shared"
SLOW_SECONDS = 0.5
STARTUP_FAILED = "asgibench fails its start-up on purpose"
SHUTDOWN_FAILED = "asgibench fails its shutdown on purpose"

Lifespan = Callable[[Message, Receive, Send, Record], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def with_lifespan(lifespan: Lifespan) -> App:
    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _noted(
                scope, Record(_folder(), LIFESPAN_TOKEN), lambda note: lifespan(scope, receive, send, note)
            )
        else:
            await _played(scope, receive, send)

    return serve


async def _played(scope: Message, receive: Receive, send: Send) -> None:
    value = next((value for name, value in scope["headers"] if bytes(name).lower() == STEPS_HEADER), None)
    if value is None:
        await _usual(scope, receive, send)
        return
    token, steps = decode_steps(value)
    record = Record(_folder(), token)
    await _noted(scope, record, lambda record: Player(scope, receive, send, record).play(steps))


async def _noted(scope: Message, record: Record, work: Callable[[Record], Awaitable[None]]) -> None:
    record.note(
        "scope", kind=type(scope).__name__, scope=scope, loop=loop_identity(), thread=threading.get_ident()
    )
    try:
        await work(record)
    except Exception as error:
        record.note("raised", kind=type(error).__name__)
        raise
    except BaseException as error:
        record.note("cancelled", kind=type(error).__name__)
        raise
    record.note("returned")


async def _usual(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def _folder() -> str:
    return os.environ.get(FOLDER_VARIABLE, "")


async def _ask(receive: Receive, record: Record) -> None:
    record.note("received", message=await receive())


async def _say(send: Send, record: Record, kind: str, text: str = "") -> None:
    await send({"type": kind, "message": text} if text else {"type": kind})
    record.note("sent", type=kind)


async def _ordinary(scope: Message, receive: Receive, send: Send, record: Record) -> None:
    """Both ends take a while: no request may come before, and the server may not end before."""
    await _ask(receive, record)
    if "state" in scope:
        scope["state"][STARTED_KEY] = STARTED_VALUE
        scope["state"][SHARED_KEY] = []
    await sleep(SLOW_SECONDS)
    await _say(send, record, "lifespan.startup.complete")
    await _ask(receive, record)
    await sleep(SLOW_SECONDS)
    await _say(send, record, "lifespan.shutdown.complete")


async def _startup_failed(scope: Message, receive: Receive, send: Send, record: Record) -> None:
    await _ask(receive, record)
    await _say(send, record, "lifespan.startup.failed", STARTUP_FAILED)


async def _raises_at_once(scope: Message, receive: Receive, send: Send, record: Record) -> None:
    raise RaisedOnPurpose(RAISED_ON_PURPOSE)


async def _raises_at_startup(scope: Message, receive: Receive, send: Send, record: Record) -> None:
    await _ask(receive, record)
    raise RaisedOnPurpose(RAISED_ON_PURPOSE)


async def _returns_at_once(scope: Message, receive: Receive, send: Send, record: Record) -> None:
    """As an app that does nothing for what it doesn't know."""


async def _shutdown_failed(scope: Message, receive: Receive, send: Send, record: Record) -> None:
    await _ask(receive, record)
    await _say(send, record, "lifespan.startup.complete")
    await _ask(receive, record)
    await _say(send, record, "lifespan.shutdown.failed", SHUTDOWN_FAILED)


async def _raises_at_shutdown(scope: Message, receive: Receive, send: Send, record: Record) -> None:
    await _ask(receive, record)
    await _say(send, record, "lifespan.startup.complete")
    await _ask(receive, record)
    raise RaisedOnPurpose(RAISED_ON_PURPOSE)


LIFESPANS: dict[str, Lifespan] = {
    "": _ordinary,
    "startup-failed": _startup_failed,
    "raises-at-once": _raises_at_once,
    "raises-at-startup": _raises_at_startup,
    "returns-at-once": _returns_at_once,
    "shutdown-failed": _shutdown_failed,
    "raises-at-shutdown": _raises_at_shutdown,
}
app = with_lifespan(LIFESPANS[os.environ.get(LIFESPAN_VARIABLE, "")])
