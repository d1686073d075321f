"""How a cell's server is reached: what must be alike in the cells that rank servers."""

from __future__ import annotations

import msgspec

from bench.balancers import NO_BALANCER, Balancer, balancer_title

USUAL_PROTOCOL = "http/1.1"
HTTP_PROTOCOLS = (USUAL_PROTOCOL, "h2")
"""What can be spoken to an endpoint of HTTP, in the order of reports."""
PROTOCOL_TITLES = {"http/1.1": "HTTP/1.1", "h2": "HTTP/2", "h3": "HTTP/3", "websocket": "WebSocket"}


class Served(msgspec.Struct, frozen=True, order=True):
    """How clients reach a server."""

    protocol: str = USUAL_PROTOCOL
    tls: bool = False
    balancer: Balancer = NO_BALANCER  # what they reach it through

    @property
    def without_balancer(self) -> Served:
        return Served(self.protocol, self.tls)

    @property
    def id(self) -> str:
        """What it adds to a cell's id: ``-h2-tls``, ``-behind-haproxy``.

        Of WebSocket nothing: the endpoint's name has it.
        """
        spoken = "" if self.protocol in (USUAL_PROTOCOL, "websocket") else f"-{self.protocol}"
        behind = f"-behind-{self.balancer}" if self.balancer else ""
        return spoken + ("-tls" if self.tls else "") + behind

    @property
    def words(self) -> str:
        """``over HTTP/2 with TLS``, ``behind HAProxy``; "" for what is usual and a WebSocket without TLS."""
        usual = (USUAL_PROTOCOL, "websocket")
        spoken = "" if self.protocol in usual else f"over {protocol_title(self.protocol)}"
        behind = f"behind {balancer_title(self.balancer)}" if self.balancer else ""
        return " ".join(filter(None, (spoken, "with TLS" if self.tls else "", behind)))


USUALLY_SERVED = Served()


def protocol_title(name: str) -> str:
    """For a reader; one of a result of another version is known by its name."""
    return PROTOCOL_TITLES.get(name, name)
