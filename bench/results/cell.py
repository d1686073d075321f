"""What is compared: cells, and what each is called."""

from __future__ import annotations

import msgspec

from bench.balancers import NO_BALANCER, Balancer
from bench.clients import USUAL_CLIENT, Client, client_of
from bench.served import USUAL_PROTOCOL, Served
from bench.spec import LoadPlace


class Cell(msgspec.Struct, frozen=True):
    """What is compared: server configuration x endpoint x workers x way to reach it x load x environment.

    A cell without a rate is measured in closed loop; one in open loop has one of the two rates.
    """

    server: str  # its name in the catalogue
    endpoint: str  # its name
    workers: int  # of the server
    connections: int  # of all load workers together
    environment: str  # the inventory's name
    rate_per_second: float | None = None  # requests/s
    # Of what the server reached in the same cell's closed loop, which is to be measured first; 1.0: all.
    rate_share: float | None = None
    client: Client = USUAL_CLIENT  # what makes the load
    load_on: LoadPlace = "loadgen"  # the hosts that it is made on
    tls: bool = False  # whether clients connect with TLS
    protocol: str = USUAL_PROTOCOL  # what they speak; that of the endpoint where it isn't of HTTP
    balancer: Balancer = NO_BALANCER  # what stands before the server; "" for nothing

    @property
    def id(self) -> str:
        bare = f"{self.server}-{self.endpoint}-w{self.workers}-c{self.connections}{self.served.id}"
        if not self.is_usual_load:
            bare += f"-{self.client}-on-{self.load_on}"
        if self.rate_per_second is not None:
            return f"{bare}-r{self.rate_per_second:.12g}"
        return bare if self.rate_share is None else f"{bare}-r{self.rate_share * 100:.12g}pct"

    @property
    def served(self) -> Served:
        """Servers are ranked among cells that are alike in this."""
        return Served(self.protocol, self.tls, self.balancer)

    @property
    def is_open_loop(self) -> bool:
        return self.rate_per_second is not None or self.rate_share is not None

    @property
    def is_usual_load(self) -> bool:
        """Our engine on the load hosts."""
        return (self.client, self.load_on) == (USUAL_CLIENT, "loadgen")

    @property
    def is_of_method(self) -> bool:
        """The load is made as the paper made it: its figure is of server and load generator together."""
        return not client_of(self.client).is_light or self.load_on != "loadgen"

    @property
    def closed_loop(self) -> Cell:
        """The same without a stated rate."""
        return msgspec.structs.replace(self, rate_per_second=None, rate_share=None)

    @property
    def without_balancer(self) -> Cell:
        return msgspec.structs.replace(self, balancer=NO_BALANCER)

    @property
    def title(self) -> str:
        """``uvicorn shortbody``, with what isn't usual: TLS, protocol, client, a stated rate."""
        bare = f"{self.server} {self.endpoint} {self.served.words}".rstrip()
        if not self.is_usual_load:
            where = " on the server's host" if self.load_on == "server" else ""
            bare += f" by {client_of(self.client).title}{where}"
        if self.rate_per_second is not None:
            return f"{bare} at {self.rate_per_second:,g} requests/s"
        return bare if self.rate_share is None else f"{bare} at {self.rate_share * 100:g} % of its maximum"


class SkippedCell(msgspec.Struct, frozen=True):
    """A cell that was asked for and can't be measured, with the reason."""

    cell: Cell
    reason: str  # for readers
