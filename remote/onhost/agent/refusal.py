"""A request that can't be met."""

from __future__ import annotations

import errno

from bench.wire.agent import Refusal, RefusalKind


class RequestRefused(Exception):
    """Becomes the answer ``as_answer``."""

    def __init__(self, kind: RefusalKind, text: str, remedy: str) -> None:
        super().__init__(text)
        self.as_answer = Refusal(kind, text, remedy)


def storage_remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Make room on the host"
    return "See the agent's log on the host"
