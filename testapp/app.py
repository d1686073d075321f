"""The ASGI application under test, `testapp.app:app`. Needs starlette and asyncpg.

======================  ==================================================================================
GET /api/shortbody      22 bytes of text
GET /api/longbody       430,000 bytes of text
GET /api/orders         bearer token -> user (query 1) -> the newest orders (query 2) -> about 1 kB of JSON
GET /api/process        who answers, and how the server is set up, as seen from within; not measured
======================  ==================================================================================

Environment: ``ASGIBENCH_DATABASE_URL`` (without it, orders answers 503), ``ASGIBENCH_POOL_SIZE`` (connections
of each process, 10), ``ASGIBENCH_COUNTS`` (a folder; see counts.py), ``ASGIBENCH_ACCESS_LOGGER`` (a name; see
process.py).

Orders answers 401 to a missing or unknown token, and 501 where the server runs the app on anything but
asyncio, which asyncpg needs. What is counted is an answer that an endpoint made itself, whatever its status,
just before the server gets it; a 404, a 405 or a 500 is not. HEAD is answered and counted as GET is.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from testapp.counts import LONGBODY, ORDERS, SHORTBODY, AnswerCounts
from testapp.data import LONG_BODY, ORDERS_SHOWN, SHORT_BODY, render_orders
from testapp.process import describe_process

DEFAULT_POOL_SIZE = 10
POOL_CLOSE_SECONDS = 5
USER_QUERY = "SELECT id, name, email FROM asgibench.users WHERE token_sha256 = $1"
ORDERS_QUERY = f"""
    SELECT id, placed_at, status, item, quantity, total_cents FROM asgibench.orders
    WHERE user_id = $1 ORDER BY placed_at DESC, id DESC LIMIT {ORDERS_SHOWN}
"""


class Database:
    """One pool of ``pool_size`` connections, opened when it is first asked for."""

    def __init__(self, url: str, pool_size: int) -> None:
        self.url = url
        self.pool_size = pool_size
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        return self._pool is not None

    async def pool(self) -> asyncpg.Pool[asyncpg.Record]:
        """The pool. Raises what asyncpg raises where it can't be opened; the next call tries again."""
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await self._open()
        return self._pool

    async def close(self) -> None:
        """Give the connections back, those in use too if they take longer than 5 s."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), POOL_CLOSE_SECONDS)
            except TimeoutError:
                pool.terminate()

    async def _open(self) -> asyncpg.Pool[asyncpg.Record]:
        # asyncpg would replace a connection after 50,000 queries or 5 idle minutes: amid a window.
        return await asyncpg.create_pool(
            self.url,
            min_size=self.pool_size,
            max_size=self.pool_size,
            max_queries=sys.maxsize,
            max_inactive_connection_lifetime=0,
        )


class Endpoints:
    """What is answered under /api."""

    def __init__(self, database: Database, counts: AnswerCounts) -> None:
        self.database = database
        self.counts = counts
        self.lifespan_ran = False

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Warms the pool. Not every server has a lifespan."""
        self.lifespan_ran = True
        if self.database.url and runs_on_asyncio():
            await self.database.pool()
        try:
            yield
        finally:
            await self.database.close()

    async def shortbody(self, request: Request) -> Response:
        self.counts.add(SHORTBODY)
        return PlainTextResponse(SHORT_BODY)

    async def longbody(self, request: Request) -> Response:
        self.counts.add(LONGBODY)
        return PlainTextResponse(LONG_BODY)

    async def orders(self, request: Request) -> Response:
        response = await self._answer_orders(request)
        self.counts.add(ORDERS)
        return response

    async def process(self, request: Request) -> Response:
        return JSONResponse(
            describe_process(request.scope, request.receive)
            | {
                "lifespan": self.lifespan_ran,
                "pool_size": self.database.pool_size,
                "pool_open": self.database.is_open,
            }
        )

    async def _answer_orders(self, request: Request) -> Response:
        if not runs_on_asyncio():
            return JSONResponse({"error": "asyncpg needs asyncio, which this server does not run on"}, 501)
        if not self.database.url:
            return JSONResponse({"error": "ASGIBENCH_DATABASE_URL is not set"}, 503)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return unauthorised("no bearer token", 'Bearer realm="asgibench"')
        pool = await self.database.pool()
        async with pool.acquire() as connection:
            user = await connection.fetchrow(USER_QUERY, hashlib.sha256(token.encode()).digest())
            if user is None:
                return unauthorised("unknown token", 'Bearer realm="asgibench", error="invalid_token"')
            orders = await connection.fetch(ORDERS_QUERY, user["id"])
        return Response(render_orders(user, orders), media_type="application/json")


def unauthorised(error: str, challenge: str) -> Response:
    return JSONResponse({"error": error}, 401, headers={"WWW-Authenticate": challenge})


def runs_on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def create_app(environment: Mapping[str, str]) -> Starlette:
    """The application for these variables. Raises ValueError for a pool size that is no number above 0."""
    pool_size = int(environment.get("ASGIBENCH_POOL_SIZE") or DEFAULT_POOL_SIZE)
    if pool_size < 1:
        raise ValueError(f"ASGIBENCH_POOL_SIZE is {pool_size}: at least one connection is needed")
    counts_directory = environment.get("ASGIBENCH_COUNTS")
    endpoints = Endpoints(
        Database(environment.get("ASGIBENCH_DATABASE_URL", ""), pool_size),
        AnswerCounts(Path(counts_directory) if counts_directory else None),
    )
    return Starlette(
        routes=[
            Route("/api/shortbody", endpoints.shortbody),
            Route("/api/longbody", endpoints.longbody),
            Route("/api/orders", endpoints.orders),
            Route("/api/process", endpoints.process),
        ],
        lifespan=endpoints.lifespan,
    )


app = create_app(os.environ)
