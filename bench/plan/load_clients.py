"""What makes the load as a dimension of a plan: what is asked for, and what a protocol needs."""

from __future__ import annotations

import msgspec

from bench.clients import CLIENTS, client_of
from bench.errors import UsageError
from bench.nearest import guess
from bench.plan.request import BenchRequest
from bench.spec import Profile


def with_clients(profile: Profile, request: BenchRequest) -> Profile:
    """The profile with the clients that are asked for; else with one more for each protocol that needs it.

    Raises UsageError.
    """
    for name in request.clients:
        if name not in CLIENTS:
            raise UsageError(
                f"there is no client {name!r}", remedy=f"{guess(name, CLIENTS)}There are {', '.join(CLIENTS)}"
            )
    wanted = tuple(dict.fromkeys(request.clients)) or profile.clients
    if not request.clients:
        for protocol in profile.protocols:
            if not is_spoken(protocol, wanted):
                wanted += tuple(name for name, one in CLIENTS.items() if protocol in one.protocols)[:1]
    return msgspec.structs.replace(profile, clients=wanted)


def is_spoken(protocol: str, clients: tuple[str, ...]) -> bool:
    """Whether one of these clients speaks it."""
    return any(protocol in client_of(name).protocols for name in clients)
