"""Prints by which address this host would connect to another. Shipped: standard library only; sends nothing.

    route.py HOST

HOST is an address or a name. The answer is a Route or a NoRoute (bench/wire/route.py).
"""

from __future__ import annotations

import socket
import sys

from bench.wire.codec import encode_line
from bench.wire.route import NoRoute, Route

DISCARD_PORT = 9


def route_to(host: str) -> Route:
    """Of several addresses the first that a route leads to. Raises OSError."""
    failure = OSError("it has no address")
    for family, kind, protocol, _, target in socket.getaddrinfo(host, DISCARD_PORT, type=socket.SOCK_DGRAM):
        with socket.socket(family, kind, protocol) as probe:
            try:
                # Of a datagram socket: chooses the route, and nothing more.
                probe.connect(target)
            except OSError as error:
                failure = error
                continue
            return Route(str(target[0]), str(probe.getsockname()[0]))
    raise failure


def main(arguments: list[str]) -> int:
    try:
        line = encode_line(route_to(arguments[0]), event="route")
    except OSError as error:
        line = encode_line(NoRoute(str(error.strerror or error)), event="no_route")
    sys.stdout.write(line.decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
