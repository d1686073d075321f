"""What can make the load, one line a client; loadgen/onhost/clients/ has a folder of the same name for each.

That folder has a locustfile.py, which Locust is started with on the load hosts. Where the file calls
``drive_engine``, an engine of our own sends the requests; where it calls ``measure_users``, its User classes
do.
"""

from __future__ import annotations

from typing import Annotated

import msgspec


class ClientSpec(msgspec.Struct, frozen=True):
    """One client."""

    name: str  # in profiles, plans, results and cell ids, and its folder's
    title: str  # as it stands in a sentence
    # An engine of our own sends the requests. It takes less CPU for them than Locust's users do: servers are
    # ranked by it, and it is short of CPU only where others have its core.
    has_engine: bool = False
    protocols: tuple[str, ...] = ("http/1.1",)  # of the endpoints that it can ask


CLIENTS = {
    one.name: one
    for one in (
        # The usual one first: cells of it on the load hosts are what servers are ranked by.
        ClientSpec("engine", "our engine", has_engine=True),
        ClientSpec("fast_http_user", "FastHttpUser"),
        ClientSpec("http_user", "HttpUser"),
    )
}
USUAL_CLIENT = next(iter(CLIENTS))

Client = Annotated[str, msgspec.Meta(extra_json_schema={"enum": sorted(CLIENTS)})]
"""A client's name."""


def client_of(name: str) -> ClientSpec:
    """The client of that name; one of a result of another version is known by its name alone."""
    return CLIENTS.get(name) or ClientSpec(name, name)


def rank_of(name: str) -> tuple[bool, int]:
    """What takes the least CPU of its own comes first."""
    return not client_of(name).has_engine, [*CLIENTS, name].index(name)
