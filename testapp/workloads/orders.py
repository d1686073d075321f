"""GET /api/orders: bearer token -> user (query 1) -> the newest orders (query 2) -> about 1 kB of JSON.

401 for a missing or unknown token, 503 without a database, and 501 where the server runs the app on anything
but asyncio, which asyncpg needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from testapp.data import USER_COUNT, Row, orders_of, user_of
from testapp.workload import Workload

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from testapp.pool import Database
    from testapp.workload import Answerer

ORDERS_SHOWN = 8
USER_QUERY = "SELECT id, name, email FROM asgibench.users WHERE token_sha256 = $1"
ORDERS_QUERY = f"""
    SELECT id, placed_at, status, item, quantity, total_cents FROM asgibench.orders
    WHERE user_id = $1 ORDER BY placed_at DESC, id DESC LIMIT {ORDERS_SHOWN}
"""


class Orders(Workload):
    """Close to real life: a user is looked up, then what belongs to the user."""

    name = "orders"
    description = "bearer token, two PostgreSQL queries, about 1 kB of JSON"
    default_place = 3
    rotates_tokens = True
    content_type = "application/json"
    transactions_per_request = 3  # two queries, and the pool's reset of the connection

    def bodies(self, seed: int) -> tuple[bytes, ...]:
        return tuple(expected_body(seed, user_index) for user_index in range(USER_COUNT))

    def answerer(self, database: Database) -> Answerer:
        from starlette.responses import JSONResponse, Response

        def unauthorised(error: str, challenge: str) -> Response:
            return JSONResponse({"error": error}, 401, headers={"WWW-Authenticate": challenge})

        async def answer(request: Request) -> Response:
            if not database.is_usable:
                return JSONResponse({"error": "asyncpg needs asyncio, and this server has another loop"}, 501)
            if not database.url:
                return JSONResponse({"error": "ASGIBENCH_DATABASE_URL is not set"}, 503)
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token:
                return unauthorised("no bearer token", 'Bearer realm="asgibench"')
            pool = await database.pool()
            async with pool.acquire() as connection:
                user = await connection.fetchrow(USER_QUERY, hashlib.sha256(token.encode()).digest())
                if user is None:
                    return unauthorised("unknown token", 'Bearer realm="asgibench", error="invalid_token"')
                orders = await connection.fetch(ORDERS_QUERY, user["id"])
            return Response(render_orders(user, orders), media_type="application/json")

        return answer


def expected_body(seed: int, user_index: int) -> bytes:
    """What is answered to the token of that user, byte for byte. Raises IndexError outside 0 to 999."""
    return render_orders(user_of(seed, user_index), orders_of(seed, user_index)[:ORDERS_SHOWN])


def render_orders(user: Row, orders: Iterable[Row]) -> bytes:
    """The JSON of a user and these orders. The app answers with this too, so there is one rendering."""
    document = {
        "user": {"id": user["id"], "name": user["name"], "email": user["email"]},
        "orders": [
            {
                "id": order["id"],
                "placed_at": order["placed_at"].isoformat(),
                "status": order["status"],
                "item": order["item"],
                "quantity": order["quantity"],
                "total_cents": order["total_cents"],
            }
            for order in orders
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


WORKLOAD = Orders()
