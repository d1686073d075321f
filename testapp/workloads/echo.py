"""POST /api/echo: 1,000 bytes come in, and the same go out. It shows what reading a request's body costs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from testapp.workload import Workload

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from testapp.pool import Database
    from testapp.workload import Answerer

OCTETS = "application/octet-stream"


class Echo(Workload):
    """Every body of a benchmark is the same, made from its seed."""

    name = "echo"
    description = "the request's body, byte for byte"
    method = "POST"
    headers = (("Content-Type", OCTETS),)
    request_length_bytes = 1_000
    content_type = OCTETS
    length_bytes = 1_000

    def request_body(self, seed: int) -> bytes:
        return hashlib.shake_256(f"asgibench echo {seed}".encode()).digest(self.request_length_bytes)

    def bodies(self, seed: int) -> tuple[bytes, ...]:
        return (self.request_body(seed),)

    def answerer(self, database: Database) -> Answerer:
        from starlette.responses import Response

        async def answer(request: Request) -> Response:
            return Response(await request.body(), media_type=OCTETS)

        return answer


WORKLOAD = Echo()
