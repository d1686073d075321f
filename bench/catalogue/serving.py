"""A server's entry as it serves one protocol over one transport, and why it can't."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bench.spec import (
    TRANSPORT_TITLES,
    USUAL_SERVING,
    WIRE_TITLES,
    ProtocolSetup,
    ServerSpec,
    Serving,
    Transport,
    Wire,
)

LISTEN_WORD = "{listen}"
PROTOCOL_WORD = "{protocol}"
ALL_TRANSPORTS: tuple[Transport, ...] = ("tcp", "tls", "unix")
ALL_WIRES: tuple[Wire, ...] = ("http/1.1", "h2", "h3", "websocket")
_PLAIN_SETUP = ProtocolSetup()


def why_not(spec: ServerSpec, serving: Serving) -> str | None:
    """Why the server can't serve so, as a clause for a reader; None where it can."""
    transport, protocol = serving.transport, serving.protocol
    if protocol == "h3" and transport != "tls":
        return "HTTP/3 is spoken over QUIC alone, which has TLS in it"
    if transport not in (spec.listen or ("tcp",)):
        return f"its entry in the catalogue doesn’t say how it listens on {TRANSPORT_TITLES[transport]}"
    if protocol == "http/1.1":
        setup = spec.protocols.get(protocol, _PLAIN_SETUP)
    elif protocol in spec.protocols:
        setup = spec.protocols[protocol]
    else:
        return f"its entry in the catalogue doesn’t say how it speaks {WIRE_TITLES[protocol]}"
    return setup.unsupported or setup.unsupported_over.get(transport) or None


def servings(spec: ServerSpec) -> Iterator[Serving]:
    """All that the server can be asked to serve, plain HTTP/1.1 first."""
    for protocol in ALL_WIRES:
        for transport in ALL_TRANSPORTS:
            one = Serving(transport, protocol)
            if why_not(spec, one) is None:
                yield one


def for_serving(spec: ServerSpec, serving: Serving = USUAL_SERVING) -> ServerSpec:
    """The entry as it serves so: command, configuration and environment. No table of servings is left in it.

    The server must be able to (``why_not``).
    """
    setup = spec.protocols.get(serving.protocol, _PLAIN_SETUP)
    return msgspec.structs.replace(
        spec,
        command=tuple(_words(spec, serving, setup)),
        config_file=setup.config_file or spec.config_file,
        environment_group=setup.environment_group or spec.environment_group,
        requirements=(*spec.requirements, *setup.requirements),
        listen={},
        protocols={},
    )


def group_for(spec: ServerSpec, serving: Serving) -> str:
    """Names the environment that the server needs for it, as ``ServerSpec.group`` does."""
    return for_serving(spec, serving).group


def _words(spec: ServerSpec, serving: Serving, setup: ProtocolSetup) -> Iterator[str]:
    for word in spec.command:
        if word == LISTEN_WORD:
            yield from spec.listen.get(serving.transport, ())
        elif word == PROTOCOL_WORD:
            yield from setup.flags
        else:
            yield word
