"""What is asked of workers and balancers: how the command line says it, and which servers can't."""

from __future__ import annotations

from collections.abc import Sequence

from bench.balancers import BALANCERS, NO_BALANCER, NO_BALANCER_WORD, Balancer, balancer_title
from bench.catalogue.serving import why_not
from bench.errors import UsageError
from bench.served import USUALLY_SERVED, Served
from bench.spec import ServerSpec, Serving

BALANCER_WORDS: dict[str, Balancer] = {name or NO_BALANCER_WORD: name for name in BALANCERS}
"""{as it is typed: as results have it}"""


def parse_workers(texts: Sequence[str]) -> tuple[int, ...]:
    """Each number once, in the order given. Raises UsageError."""
    wrong = [text for text in texts if not text.isascii() or not text.isdecimal() or int(text) < 1]
    if wrong:
        raise UsageError(
            f"{wrong[0]!r} is no number of worker processes",
            remedy="Give numbers from 1 on, separated by commas: --workers 1,2,4",
        )
    return tuple(dict.fromkeys(int(text) for text in texts))


def parse_balancers(texts: Sequence[str]) -> tuple[Balancer, ...]:
    """Each once, in the order given. Raises UsageError."""
    wrong = [text for text in texts if text not in BALANCER_WORDS]
    if wrong:
        raise UsageError(
            f"there is no balancer {wrong[0]!r}",
            remedy=f"There are {', '.join(BALANCER_WORDS)}",
        )
    return tuple(dict.fromkeys(BALANCER_WORDS[text] for text in texts))


def why_not_behind(served: Served, server: ServerSpec) -> str | None:
    """Why it can't be reached through the balancer, as a clause; None where it can, or there is none."""
    if served.balancer == NO_BALANCER:
        return None
    title = balancer_title(served.balancer)
    if served.without_balancer != USUALLY_SERVED:
        return f"{title} is set up here for HTTP/1.1 without TLS alone"
    reason = why_not(server, Serving("unix"))
    return None if reason is None else f"behind {title} it must listen on a Unix socket: {reason}"


def why_not_workers(served: Served, server: ServerSpec, workers: int) -> str | None:
    """Why it can't run so many workers, as a clause; behind a balancer each is a process of its own."""
    if served.balancer != NO_BALANCER or server.max_workers is None or workers <= server.max_workers:
        return None
    return f"{server.name} runs {server.max_workers} worker process(es) at most"
