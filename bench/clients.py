"""What can make the load, one line a client; loadgen/onhost/clients/ has a folder of the same name for each.

That folder has a locustfile.py, which Locust is started with on the load hosts. Where the file calls
``drive_engine``, an engine of our own sends the requests, or a program that one of ours drives; where it
calls ``measure_users``, its User classes do.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from bench.programs import H2LOAD, HostProgram


class ClientSpec(msgspec.Struct, frozen=True):
    """One client."""

    name: str  # in profiles, plans, results and cell ids, and its folder's
    title: str  # as it stands in a sentence
    # An engine of our own sends the requests.
    has_engine: bool = False
    # It takes less CPU for requests than Locust's users do: servers may be ranked by it, and it is short of
    # CPU only where others have its core.
    is_light: bool = False
    protocols: tuple[str, ...] = ("http/1.1",)  # that it speaks
    program: HostProgram | None = None  # what it drives, which is no Python package
    caveat: str = ""  # what it doesn't look at, for readers; "": it checks as our engine does


CLIENTS = {
    one.name: one
    for one in (
        # The usual one first: cells of it on the load hosts are what servers are ranked by.
        ClientSpec(
            "engine", "our engine", has_engine=True, is_light=True, protocols=("http/1.1", "websocket")
        ),
        ClientSpec(
            "h2load",
            "h2load",
            is_light=True,
            protocols=("http/1.1", "h2"),
            program=H2LOAD,
            caveat="h2load compares no body: the status of each answer and the bytes of all bodies together "
            "were held against the right ones. Each load worker asks as one user; a request that is never "
            "answered is in no latency; it checks no certificate",
        ),
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
    """What takes the least CPU of its own comes first, and the usual one before others like it."""
    return not client_of(name).is_light, [*CLIENTS, name].index(name)
