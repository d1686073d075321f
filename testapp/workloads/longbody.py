"""GET /api/longbody: 430,000 bytes of text. It shows what a server does with more than a socket's buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testapp.workload import PLAIN_TEXT, Workload

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from testapp.pool import Database
    from testapp.workload import Answerer

BODY = (b"All work and no play makes a server a dull process.\n" * 8_270)[:430_000]


class Longbody(Workload):
    """A body of the length that the paper had."""

    name = "longbody"
    description = "430,000 bytes of plain text"
    default_place = 2
    content_type = PLAIN_TEXT
    length_bytes = len(BODY)

    def bodies(self, seed: int) -> tuple[bytes, ...]:
        return (BODY,)

    def answerer(self, database: Database) -> Answerer:
        from starlette.responses import PlainTextResponse

        def answer(request: Request) -> Response:
            return PlainTextResponse(BODY)

        return answer


WORKLOAD = Longbody()
