"""TLS and protocols as dimensions of a plan: what is asked for, and what can't be had with the reason."""

from __future__ import annotations

from itertools import product
from typing import cast

import msgspec

from bench.catalogue.serving import why_not
from bench.clients import ClientSpec
from bench.errors import UsageError
from bench.nearest import guess
from bench.plan.request import TLS_CHOICES, BenchRequest
from bench.served import (
    HTTP_PROTOCOLS,
    PROTOCOL_TITLES,
    USUAL_PROTOCOL,
    USUALLY_SERVED,
    Served,
    protocol_title,
)
from bench.spec import Endpoint, Profile, ServerSpec, Serving, Wire


def with_serving(profile: Profile, request: BenchRequest) -> Profile:
    """The profile with the TLS and the protocols that are asked for. Raises UsageError."""
    for name in request.protocols:
        check_protocol(name)
    tls = TLS_CHOICES[request.tls] if request.tls else profile.tls
    protocols = tuple(dict.fromkeys(request.protocols)) or profile.protocols
    return msgspec.structs.replace(profile, tls=tls, protocols=protocols)


def check_protocol(name: str) -> None:
    """Raises UsageError for one that no endpoint of HTTP can be asked over."""
    if name in HTTP_PROTOCOLS:
        return
    if name in PROTOCOL_TITLES:
        remedy = f"There are {', '.join(HTTP_PROTOCOLS)}"
        if name == "websocket":
            remedy = "Name an endpoint of it with --endpoints: what it speaks follows from that"
        raise UsageError(f"no load is made over {protocol_title(name)} to endpoints of HTTP", remedy=remedy)
    raise UsageError(
        f"there is no protocol {name!r}",
        remedy=f"{guess(name, HTTP_PROTOCOLS)}There are {', '.join(HTTP_PROTOCOLS)}",
    )


def servings_of(profile: Profile, endpoint: Endpoint) -> tuple[Served, ...]:
    """How the profile wants the endpoint reached: its protocols where it is of HTTP, else the endpoint's."""
    own = endpoint.protocol
    protocols = profile.protocols if own == USUAL_PROTOCOL else (own,)
    return tuple(Served(protocol, tls) for protocol, tls in product(protocols, profile.tls))


def why_not_reached(server: ServerSpec, served: Served, client: ClientSpec) -> str | None:
    """Why the cell can't be measured, for readers; None where it can."""
    if served.protocol not in client.protocols:
        return f"{client.title} does not speak {protocol_title(served.protocol)}"
    reason = why_not(server, serving_of(served))
    if reason is not None:
        return reason
    if served != USUALLY_SERVED:
        return f"nothing makes load {served.words or 'so'} yet"
    return None


def serving_of(served: Served) -> Serving:
    """What a server is set up for, to be reached so on a port."""
    return Serving("tls" if served.tls else "tcp", cast(Wire, served.protocol))
