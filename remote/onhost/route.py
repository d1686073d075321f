"""Prints by which address this host would connect to another. Shipped: standard library only; sends nothing.

    python3 -I route.py HOST

HOST is an address or a name. The answer is one JSON object: ``{"address": ..., "source": ...}``, the numeric
address that HOST is from here and the one of ours that the system's routes choose towards it; or
``{"error": ...}`` with status 1 where the name is unknown or no route leads there.
"""

import json
import socket
import sys

DISCARD_PORT = 9


def route_to(host: str) -> dict[str, str]:
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
            return {"address": str(target[0]), "source": str(probe.getsockname()[0])}
    raise failure


def main(arguments: list[str]) -> int:
    try:
        answer = route_to(arguments[0])
    except OSError as error:
        answer = {"error": str(error.strerror or error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
