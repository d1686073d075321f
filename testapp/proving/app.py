"""The app that does what each request's Script says, `testapp.proving.app:app`.

What it saw goes to the folder ``ASGIBENCH_WITNESS`` (see bench/wire/proving.py). A request without a script
is answered with 200 and ``ok``. At its start it puts ``ASGIBENCH_NONCE`` into the lifespan's state.
``ASGIBENCH_WRAPPER`` names a server's own middleware to wrap it in, as MODULE:CALLABLE.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from bench.wire.proving import LIFESPAN_TOKEN, NONCE_VARIABLE, STATE_KEY, WRAPPER_VARIABLE, Step, token_of
from testapp.proving.witness import note, script_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class ScriptedFailure(Exception):
    """What a script asked for."""


async def scripted(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(scope, receive, send)
        return
    token = token_of(scope.get("query_string", b"").decode("latin-1"))
    if token is None:
        await _usual(scope, receive, send)
        return
    script = script_of(token)
    note(script.token, "scope", scope)
    try:
        raised = False
        for step in script.steps:
            if step.do == "require" and step.message["type"] != scope["type"]:
                await _answer(str(scope["type"]), send)
                break
            if step.do == "send" or (step.do == "otherwise" and raised):
                raised = await _send(sendable(step.message), script.token, send)
            else:
                await _do(step, script.token, scope, receive, send)
    except BaseException as error:
        note(script.token, "raised", {"error": repr(error)})
        raise
    finally:
        note(script.token, "end", {})


async def _lifespan(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    note(LIFESPAN_TOKEN, "scope", scope)
    while True:
        message = await receive()
        note(LIFESPAN_TOKEN, "received", message)
        if message["type"] == "lifespan.startup" and "state" in scope:
            scope["state"][STATE_KEY] = os.environ.get(NONCE_VARIABLE, "")
        await send({"type": f"{message['type']}.complete"})
        note(LIFESPAN_TOKEN, "sent", {"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _usual(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    await _answer("ok", send)


async def _answer(text: str, send: Send) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _do(step: Step, token: str, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    if step.do == "remember":
        scope["state"].update(step.message)
    elif step.do == "raise":
        raise ScriptedFailure(str(step.message.get("text", "")))
    elif step.do in ("receive", "drain", "echo"):
        while True:
            message = await receive()
            note(token, "received", message)
            kind = message["type"]
            if step.do == "echo" and kind == "websocket.receive":
                back = {name: value for name, value in message.items() if name in ("text", "bytes")}
                await _send({"type": "websocket.send", **back}, token, send)
            is_last = kind.endswith("disconnect") or (step.do == "drain" and not message.get("more_body"))
            if step.do == "receive" or is_last:
                return


async def _send(message: Message, token: str, send: Send) -> bool:
    """Whether it raised."""
    try:
        await send(message)
    except Exception as error:
        note(token, "sent", {**message, "raised": repr(error)})
        return True
    note(token, "sent", message)
    return False


def sendable(message: Mapping[str, object]) -> Message:
    """The message as ASGI has it: see Step."""
    return {name: _as_asgi(name, value) for name, value in message.items()}


def _as_asgi(name: str, value: object) -> object:
    if name == "headers" and isinstance(value, (list, tuple)):
        return [(str(key).encode("latin-1"), str(text).encode("latin-1")) for key, text in value]
    if name == "links" and isinstance(value, (list, tuple)):
        return [str(link).encode("latin-1") for link in value]
    if name in ("body", "bytes") and isinstance(value, str):
        return value.encode("latin-1")
    if name == "file":
        return Path(str(value)).open("rb")  # the server reads it after this returns
    return value


def wrapped(inner: App, wrapper: str) -> App:
    """``inner`` in what ``wrapper`` (MODULE:CALLABLE, or "") names."""
    if not wrapper:
        return inner
    module, _, name = wrapper.partition(":")
    outer: App = getattr(importlib.import_module(module), name)(inner)
    return outer


app = wrapped(scripted, os.environ.get(WRAPPER_VARIABLE, ""))
