"""The ASGI application under test, `testapp.app:app`. Needs starlette and asyncpg.

It answers each workload of testapp/workloads/ at its path, and ``GET /api/process``: who answers, and how the
server is set up, as seen from within; that isn't measured.

Environment: ``ASGIBENCH_DATABASE_URL`` (without it, orders answers 503), ``ASGIBENCH_POOL_SIZE`` (connections
of each process, 10), ``ASGIBENCH_COUNTS`` (a folder; see counts.py), ``ASGIBENCH_ACCESS_LOGGER`` (a name; see
process.py).

What is counted is an answer that a workload made itself, whatever its status, just before the server gets it;
a 404, a 405 or a 500 is not. HEAD is answered and counted as GET is.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from testapp.counts import AnswerCounts
from testapp.pool import Database
from testapp.process import describe_process
from testapp.workloads import WORKLOADS

if TYPE_CHECKING:
    from testapp.workload import Answerer, Talker, Workload

DEFAULT_POOL_SIZE = 10

Handler = Callable[[Request], Awaitable[Response]]


def counted(answer: Answerer, counts: AnswerCounts, slot: int) -> Handler:
    """The same, with each answer counted in ``slot``."""
    # Every request pays for this: no coroutine inside a coroutine, and no call to count.
    if iscoroutinefunction(answer):
        return _counted_later(cast(Handler, answer), counts, slot)
    return _counted_at_once(cast("Callable[[Request], Response]", answer), counts, slot)


def _counted_at_once(answer: Callable[[Request], Response], counts: AnswerCounts, slot: int) -> Handler:
    async def handler(request: Request) -> Response:
        response = answer(request)
        if counts.slots is None:
            counts.add(slot)
        else:
            counts.slots[slot] += 1
        return response

    return handler


def _counted_later(answer: Handler, counts: AnswerCounts, slot: int) -> Handler:
    async def handler(request: Request) -> Response:
        response = await answer(request)
        if counts.slots is None:
            counts.add(slot)
        else:
            counts.slots[slot] += 1
        return response

    return handler


def _route(workload: Workload, database: Database, counts: AnswerCounts, slot: int) -> BaseRoute:
    if workload.protocol != "websocket":
        answer = cast("Answerer", workload.answerer(database))
        return Route(workload.path, counted(answer, counts, slot), methods=[workload.method])
    talk = cast("Talker", workload.answerer(database))

    async def handler(socket: WebSocket) -> None:
        await talk(socket, lambda: counts.add(slot))

    return WebSocketRoute(workload.path, handler)


def create_app(environment: Mapping[str, str]) -> Starlette:
    """The application for these variables. Raises ValueError for a pool size that is no number above 0."""
    pool_size = int(environment.get("ASGIBENCH_POOL_SIZE") or DEFAULT_POOL_SIZE)
    if pool_size < 1:
        raise ValueError(f"ASGIBENCH_POOL_SIZE is {pool_size}: at least one connection is needed")
    counts_directory = environment.get("ASGIBENCH_COUNTS")
    counts = AnswerCounts(Path(counts_directory) if counts_directory else None)
    database = Database(environment.get("ASGIBENCH_DATABASE_URL", ""), pool_size)
    lifespan_ran = False

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        """Warms the pool. Not every server has a lifespan."""
        nonlocal lifespan_ran
        lifespan_ran = True
        if database.url and database.is_usable:
            await database.pool()
        try:
            yield
        finally:
            await database.close()

    async def process(request: Request) -> Response:
        return JSONResponse(
            describe_process(request.scope, request.receive)
            | {
                "lifespan": lifespan_ran,
                "pool_size": database.pool_size,
                "pool_open": database.is_open,
            }
        )

    routes = [_route(one, database, counts, slot) for slot, one in enumerate(WORKLOADS.values())]
    return Starlette(routes=[*routes, Route("/api/process", process)], lifespan=lifespan)


app = create_app(os.environ)
