"""TLS and protocols as dimensions of a plan: what is asked for, and what can't be had with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import cast

import msgspec

from bench.catalogue.serving import for_serving, group_for, why_not
from bench.clients import ClientSpec
from bench.errors import UsageError
from bench.nearest import guess
from bench.plan.request import TLS_CHOICES, BenchRequest
from bench.results.cell import Cell
from bench.served import (
    HTTP_PROTOCOLS,
    PROTOCOL_TITLES,
    USUAL_PROTOCOL,
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
    return tuple(
        Served(protocol, tls, balancer)
        for protocol, tls, balancer in product(protocols, profile.tls, profile.balancers)
    )


def is_asked_over(endpoint: Endpoint, served: Served) -> bool:
    """Whether the endpoint is one that clients which reach a server so may ask."""
    if endpoint.protocol == USUAL_PROTOCOL:
        return served.protocol in HTTP_PROTOCOLS
    return endpoint.protocol == served.protocol


def why_not_reached(server: ServerSpec, served: Served, client: ClientSpec) -> str | None:
    """Why the cell can't be measured, for readers; None where it can."""
    if served.protocol not in client.protocols:
        return f"{client.title} does not speak {protocol_title(served.protocol)}"
    return why_not(server, serving_of(served))


def groups_of(plan_servers: Iterable[ServerSpec], cells: Iterable[Cell]) -> tuple[str, ...]:
    """The environments that the servers need for these cells, and each server's usual one."""
    specs = {spec.name: spec for spec in plan_servers}
    wanted = {name: {spec.group} for name, spec in specs.items()}
    for cell in cells:
        wanted[cell.server].add(group_for(specs[cell.server], serving_of(cell.served)))
    return tuple(dict.fromkeys(group for groups in wanted.values() for group in sorted(groups)))


def serving_of(served: Served) -> Serving:
    """What a server is set up for, to be reached so: behind a balancer each process has a Unix socket."""
    if served.balancer:
        return Serving("unix", cast(Wire, served.protocol))
    return Serving("tls" if served.tls else "tcp", cast(Wire, served.protocol))


def as_served(
    specs: Iterable[ServerSpec], profile: Profile, endpoints: Sequence[Endpoint]
) -> list[ServerSpec]:
    """The entries, and each once more as it is set up for what it is to serve, where it can."""
    return [one for spec in specs for one in _variants(spec, profile, endpoints)]


def _variants(spec: ServerSpec, profile: Profile, endpoints: Sequence[Endpoint]) -> Iterator[ServerSpec]:
    yield spec
    wanted = dict.fromkeys(served for endpoint in endpoints for served in servings_of(profile, endpoint))
    for serving in map(serving_of, wanted):
        if why_not(spec, serving) is None:
            yield for_serving(spec, serving)
