"""Load balancers that a server may be measured behind: their names, and the configuration of each.

Behind a balancer, N workers are N processes of the server with one worker each, each on a Unix socket of its
own: for a server with worker processes too, so that servers behind the same balancer differ in nothing but
themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from bench import programs
from bench.programs import HostProgram

Balancer = Literal["", "haproxy"]
"""What stands between load and server; "": nothing does."""

NO_BALANCER: Balancer = ""
HAPROXY: Balancer = "haproxy"
NO_BALANCER_WORD = "none"
"""How the command line and a reader call it."""

BALANCERS: tuple[Balancer, ...] = (NO_BALANCER, HAPROXY)
TITLES: dict[Balancer, str] = {HAPROXY: "HAProxy"}
PROGRAMS: dict[Balancer, HostProgram] = {HAPROXY: programs.HAPROXY}
HAPROXY_WORDS = ("-db", "-f")
"""Before its configuration's path: in the foreground and by itself, with no parent beside what works."""
_VERSION = re.compile(r"version (\S+)")

# Above the connections of the load: the first checks of a server come through the balancer too.
SPARE_CONNECTIONS = 1_000
# Longer than any answer may take, so that no limit of the balancer's ends a request.
ANSWER_SECONDS = 120
CONNECT_SECONDS = 5


def balancer_title(name: Balancer) -> str:
    """For readers: ``HAProxy``. Raises KeyError."""
    return TITLES[name]


def version_in(words: str) -> str:
    """Of what the program says of itself: ``HAProxy version 2.6.12-1 2025/01/01 - https://haproxy.org/``."""
    found = _VERSION.search(words)
    return words if found is None else found[1]


def haproxy_config(
    *,
    bind: str,
    port: int,
    sockets: Sequence[str],
    connections: int,
    backlog: int,
    keep_alive_seconds: int,
) -> str:
    """HAProxy's configuration: the process with the fewest connections is next, and all of them are kept.

    ``bind`` is an address without brackets; ``sockets`` are the paths of the server's processes. It logs
    nothing, checks no health, changes no header, and opens no port but ``port``. One thread, as a server's
    worker has: its core is then what it may use at most. It sets TCP_NODELAY on its connections by itself.
    """
    address = f"[{bind}]" if ":" in bind else bind
    lines = [
        "global",
        "    nbthread 1",
        f"    maxconn {connections + SPARE_CONNECTIONS}",
        "",
        "defaults",
        "    mode http",
        "    option http-keep-alive",
        "    http-reuse always",
        "    no log",
        f"    timeout connect {CONNECT_SECONDS}s",
        f"    timeout client {keep_alive_seconds}s",
        f"    timeout http-keep-alive {keep_alive_seconds}s",
        f"    timeout server {ANSWER_SECONDS}s",
        "",
        "frontend load",
        f"    bind {address}:{port} backlog {backlog}",
        "    default_backend servers",
        "",
        "backend servers",
        "    balance leastconn",
        *(f"    server s{number} {_quoted(f'unix@{path}')}" for number, path in enumerate(sockets, 1)),
    ]
    return "\n".join(lines) + "\n"


def _quoted(word: str) -> str:
    """As HAProxy reads a word that may hold blanks."""
    for sign in ("\\", '"', "$"):
        word = word.replace(sign, f"\\{sign}")
    return f'"{word}"'
