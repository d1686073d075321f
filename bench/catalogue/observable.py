"""Which settings of a server can't be seen on the running server, and why: known before any is started.

It says beforehand what bench/results/prove.py finds afterwards; a test holds the one against the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.spec import ServerSpec

# The packages that testapp/behind.py knows the objects of.
PARSER_TOLD_BY = ("uvicorn", "daphne", "hypercorn", "granian", "gunicorn")
KEEP_ALIVE_TOLD_BY = ("uvicorn", "daphne", "hypercorn", "gunicorn")
ONLY_LINUX = "only Linux tells a listening socket's backlog"


def unobservable(spec: ServerSpec, system: str) -> dict[str, str]:
    """{setting: why}. ``system`` is that of the server's host, Linux or Darwin, "" where it isn't known."""
    return dict(_reasons(spec, system))


def _reasons(spec: ServerSpec, system: str) -> Iterator[tuple[str, str]]:
    if spec.package not in PARSER_TOLD_BY:
        yield "http_parser", f"no object of {spec.package} is known to tell it"
    if spec.package not in KEEP_ALIVE_TOLD_BY:
        yield (
            "keep_alive_seconds",
            f"no object of {spec.package} is known to tell it; that connections stay open is seen",
        )
    if system not in ("Linux", ""):
        yield "backlog", ONLY_LINUX
