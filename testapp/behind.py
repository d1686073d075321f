"""The server's own objects behind a request, while it is answered. Shipped; standard library only.

Nothing in ASGI tells how a server is set up, but the server's own objects hold the app's call: the frames
that called the app, and what ``receive`` and ``send`` belong to. A few steps from there lead to the object
that reads the connection, with the parser and the time-out that it really uses, whatever its command says.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import BuiltinMethodType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

# Every server of the catalogue has fewer than 120.
MOST_OBJECTS = 2_000
# Of the class that reads a connection: the parser by its usual name.
PARSERS = {
    "httptools.parser.parser.HttpRequestParser": "httptools",
    "h11._connection.Connection": "h11",
    "twisted.web.http.HTTPChannel": "twisted",
    "granian._granian.ASGIHTTPProtocol": "hyper",
    "gunicorn.asgi.parser.PythonProtocol": "python",
    "gunicorn_h1c.H1CProtocol": "fast",
    "zttp.H1Connection": "zttp",
}
# By class: the attribute with the seconds after which it closes an idle connection. While a request is
# answered, Twisted keeps them apart.
KEEP_ALIVE_SECONDS = {
    "uvicorn.protocols.http.httptools_impl.HttpToolsProtocol": "timeout_keep_alive",
    "uvicorn.protocols.http.h11_impl.H11Protocol": "timeout_keep_alive",
    "uvicorn.protocols.http.zttp_impl.ZttpProtocol": "timeout_keep_alive",
    "gunicorn.asgi.protocol.ASGIProtocol": "_keepalive",
    "hypercorn.config.Config": "keep_alive_timeout",
    "twisted.web.http.HTTPChannel": "_savedTimeOut",
}
# By class: the attribute that is None where no access log is written.
ACCESS_LOGS = {"daphne.server.Server": "action_logger"}
# Classes of the app and of what it brings along: no server's objects are behind them.
_NOT_A_SERVERS = ("starlette", "testapp", "asyncpg", "anyio")
_PLAIN = (str, bytes, bytearray, int, float, type(None), type, ModuleType)


@dataclass(frozen=True, slots=True)
class Behind:
    """What the objects tell. None: no object was found that would."""

    parser: str | None
    keep_alive_seconds: float | None
    access_log: bool | None


def look_behind(*given: object) -> Behind:
    """``given`` are the ``receive`` and ``send`` of the running call."""
    parser: str | None = None
    keep_alive: float | None = None
    access_log: bool | None = None
    for one in objects_behind(*given):
        name = class_name(type(one))
        if parser is None:
            parser = PARSERS.get(name)
        if keep_alive is None and name in KEEP_ALIVE_SECONDS:
            keep_alive = getattr(one, KEEP_ALIVE_SECONDS[name], None)
        if access_log is None and name in ACCESS_LOGS:
            access_log = getattr(one, ACCESS_LOGS[name], None) is not None
    return Behind(parser, keep_alive, access_log)


def class_name(named: type) -> str:
    return f"{named.__module__}.{named.__qualname__}"


def objects_behind(*given: object) -> Iterator[object]:
    """Every object of a server's that is reached from the running call and from ``given``, nearest first."""
    waiting: list[object] = [*_locals_of(sys._getframe(1)), *given]
    seen: set[int] = set()
    kept: list[object] = []  # so that no id is used twice meanwhile
    position = 0
    while position < len(waiting) and len(seen) < MOST_OBJECTS:
        one = waiting[position]
        position += 1
        if id(one) in seen or isinstance(one, _PLAIN) or _root(type(one)) in _NOT_A_SERVERS:
            continue
        seen.add(id(one))
        kept.append(one)
        yield one
        waiting.extend(_parts_of(one))


def _locals_of(frame: FrameType | None) -> Iterator[object]:
    """Of the calls around this one; of the app's own calls only what the server gave them."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _NOT_A_SERVERS:
            yield from frame.f_locals.values()
        else:
            yield from (frame.f_locals[name] for name in ("receive", "send") if name in frame.f_locals)
        frame = frame.f_back


def _parts_of(one: object) -> Iterator[object]:
    if isinstance(one, MethodType | BuiltinMethodType):
        yield one.__self__
    elif isinstance(one, functools.partial):
        yield one.func
        yield from one.args
    elif isinstance(one, FunctionType):
        for cell in one.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # it holds nothing yet
                continue
    elif _root(type(one)) not in sys.stdlib_module_names:
        held: dict[str, Any] = getattr(one, "__dict__", {})
        yield from held.values()


def _root(kind: type) -> str:
    return str(kind.__module__).partition(".")[0]
