"""GET /api/shortbody: 22 bytes of text. It shows what a server costs by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testapp.workload import PLAIN_TEXT, Workload

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from testapp.pool import Database
    from testapp.workload import Answerer

BODY = b"Hello from asgibench!\n"


class Shortbody(Workload):
    """A body that fits into one packet with its head."""

    name = "shortbody"
    description = "22 bytes of plain text"
    default_place = 1
    content_type = PLAIN_TEXT
    length_bytes = len(BODY)

    def bodies(self, seed: int) -> tuple[bytes, ...]:
        return (BODY,)

    def answerer(self, database: Database) -> Answerer:
        from starlette.responses import PlainTextResponse

        def answer(request: Request) -> Response:
            return PlainTextResponse(BODY)

        return answer


WORKLOAD = Shortbody()
