"""Frozen specs: what is compared, against what, for how long. Parsed once, passed explicitly."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec
from packaging.utils import canonicalize_name

from bench.balancers import NO_BALANCER, Balancer
from bench.clients import USUAL_CLIENT, Client
from bench.served import USUAL_PROTOCOL

Arrivals = Literal["constant", "poisson"]
"""Of an open loop's requests: evenly spaced, or independent of each other."""

LoadPlace = Literal["loadgen", "server"]
"""Where it runs: on the load hosts, or on the server's own host and cores, as the paper had it."""

VersionSet = Literal["current", "paper"]
"""Of servers: today's versions, or those of the paper."""

SetUp = Literal["", "shipped", "best", "both"]
"""Of a server: as its plain installation runs, at its best, or both where these don't differ; "": neither."""

Transport = Literal["tcp", "tls", "unix"]
"""What a server listens on: plain TCP, TLS over TCP (with HTTP/3: QUIC), or a Unix socket."""

Wire = Literal["http/1.1", "h2", "h3", "websocket"]
"""What is spoken there."""

WIRE_TITLES: dict[Wire, str] = {
    "http/1.1": "HTTP/1.1",
    "h2": "HTTP/2",
    "h3": "HTTP/3",
    "websocket": "WebSocket",
}
TRANSPORT_TITLES: dict[Transport, str] = {"tcp": "TCP", "tls": "TLS", "unix": "a Unix socket"}


class Serving(msgspec.Struct, frozen=True):
    """What a server is asked to serve. HTTP/2 over "tcp" is without an upgrade, by prior knowledge."""

    transport: Transport = "tcp"
    protocol: Wire = "http/1.1"

    @property
    def title(self) -> str:
        """For a reader: ``HTTP/2 over TLS``."""
        return f"{WIRE_TITLES[self.protocol]} over {TRANSPORT_TITLES[self.transport]}"


USUAL_SERVING = Serving()


class Endpoint(msgspec.Struct, frozen=True):
    """One measured endpoint of the test app, as a plan keeps it.

    It is made from a workload of the app, or stands for a user's own locustfile; then ``path`` is empty.
    """

    name: str
    path: str
    content_type: str  # the whole header of every answer
    length_bytes: int | None  # of an answer's body where every answer has the same length, else None
    rotates_tokens: bool = False  # each request carries the bearer token of another user, all in turn
    # What an answer costs PostgreSQL by the app's code, None without a database: each query is one, and so is
    # asyncpg's reset of a connection that goes back to the pool.
    transactions_per_request: int | None = None
    description: str = ""
    method: str = "GET"
    request_length_bytes: int = 0  # of the body that each request carries
    protocol: str = "http/1.1"

    @property
    def uses_database(self) -> bool:
        return self.transactions_per_request is not None

    @property
    def may_use_database(self) -> bool:
        return self.uses_database or self.is_users_own

    @property
    def is_users_own(self) -> bool:
        """It stands for a user's own locustfile: what that asks for is not known."""
        return not self.path

    @property
    def request(self) -> str:
        """For a reader: ``GET /api/shortbody``, ``POST /api/echo with 1,000 bytes``."""
        if self.is_users_own:
            return "the locustfile’s own"
        if self.protocol == "websocket":
            return f"WebSocket {self.path}, messages of {self.request_length_bytes:,} bytes"
        body = f" with {self.request_length_bytes:,} bytes" if self.request_length_bytes else ""
        return f"{self.method} {self.path}{body}"


OWN_PREFIX = "own-"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is set alike for every server; ``ServerSpec.command`` says how each becomes a flag."""

    loop: str = "asyncio"  # name of the event loop
    http_parser: str = ""  # name; empty: the server has only one
    backlog: int = 2048  # connections that wait to be accepted, at most
    keep_alive_seconds: int = 75  # how long an idle connection stays open
    access_log: bool = False  # whether a line is written for each request


class VersionRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for some versions of a server only."""

    versions: str  # a version specifier as in a requirement: ">=0.37", ">=0.22,<0.30"
    flags: tuple[str, ...] = ()  # in place of the whole word {flags} in the command; the same placeholders
    config_file: str = ""  # in place of the server's own, unless empty
    # Added to the server's own. Here and there tcp_nodelay may stand too: no flag sets it, and every server
    # is expected to switch it on by itself.
    unhonoured_settings: dict[str, str] = {}


class ProtocolSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a server is set up to speak one protocol. With no field given, it speaks it as it is."""

    flags: tuple[str, ...] = ()  # in place of the whole word {protocol} in the command
    config_file: str = ""  # in place of the server's own, unless empty
    # Of its environment, where it takes another. The group stands in place of the server's group, the
    # requirements come to the server's own.
    environment_group: str = ""
    requirements: tuple[str, ...] = ()
    unsupported: str = ""  # why the server doesn't speak it at all
    unsupported_over: dict[Transport, str] = {}  # why it doesn't speak it there


class FeatureSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A way in which a server is started to prove a feature that it isn't measured with."""

    flags: tuple[str, ...] = ()  # added to the command
    wrapper: str = ""  # MODULE:CALLABLE of the server's package, which the app is wrapped in
    config_file: str = ""  # in place of the server's own, unless empty


class ServerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of servers.toml. Each setting is filled in somewhere or stands in ``unhonoured_settings``.

    Placeholders of ``command`` and ``config_file``: ``{app} {host} {port} {workers}``, ``{config_file}`` (its
    path), and the settings ``{loop} {http_parser} {backlog} {keep_alive_seconds}``. For IPv6,
    ``{bracketed_host}`` goes before ``:{port}``, and ``{escaped_host}`` into Twisted's endpoint strings. With
    TLS there are ``{certificate}`` and ``{key}``, on a Unix socket ``{socket}``: paths on the server's host.
    """

    name: str
    package: str  # the package whose version counts as the server's
    # An argument vector; the first word is a program of the environment. The whole word {access_log} becomes
    # the words of access_log_on or access_log_off, the whole word {flags} those of the version range.
    command: tuple[str, ...]
    # What its environment is made of, one of the two: a dependency group of uv.lock, or requirements of its
    # own, each as pip takes it. The test app's packages need not be among them; a plan has them added.
    environment_group: str = ""
    requirements: tuple[str, ...] = ()
    title: str = ""  # for the report; {version} becomes the locked version. Empty: the name
    settings: Settings = Settings()
    config_file: str = ""  # the text of a file that is written before the start; empty: none
    # By transport: in place of the whole word {listen} in the command. Empty: the command has its own words,
    # for plain TCP.
    listen: dict[Transport, tuple[str, ...]] = {}
    # By protocol: what it takes to speak it. HTTP/1.1 needs no table; another without one isn't spoken.
    protocols: dict[Wire, ProtocolSetup] = {}
    # For `./invoke features` alone. ``proxy``: client and scheme are taken from the headers of a proxy on its
    # own host, over plain HTTP/1.1; ``websocket_h2``: HTTP/2 over TLS together with WebSocket.
    feature_setups: dict[Literal["proxy", "websocket_h2"], FeatureSetup] = {}
    access_log_on: tuple[str, ...] = ()  # words of the command
    access_log_off: tuple[str, ...] = ()  # words of the command
    # The logger of Python's logging that writes the access log where it has a handler. Empty: there is none,
    # and the running server can't tell whether its access log is on.
    access_logger: str = ""
    environment_variables: dict[str, str] = {}  # besides those that we set
    # Names of the headers that the server adds to each answer by itself. None: not stated, so that whatever
    # it adds is shown and contradicts nothing.
    added_headers: tuple[str, ...] | None = None
    max_workers: int | None = None  # worker processes; None: no limit
    unsupported_endpoints: dict[str, str] = {}  # endpoint: why the server can't serve it
    unhonoured_settings: dict[str, str] = {}  # setting: what the server does instead; printed in the report
    licence: str = ""  # printed in the report
    # Servers are compared like with like: "shipped" with "shipped", "best" with "best".
    set_up: SetUp = ""
    version_set: VersionSet = "current"  # what --set chooses by
    family: str = ""  # the entry of the current set that this one stands beside; empty: its own name
    # The first that holds the locked version counts; where there are any, one must. A plan has them resolved:
    # none is left.
    version_ranges: tuple[VersionRange, ...] = ()

    @property
    def group(self) -> str:
        """Names the environment: the dependency group, or ``own-PACKAGE-HASH`` of its own requirements."""
        if self.environment_group:
            return self.environment_group
        digest = hashlib.sha256("\n".join(sorted(self.requirements)).encode()).hexdigest()
        return f"{OWN_PREFIX}{canonicalize_name(self.package)}-{digest[:8]}"


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long and how hard.

    Each of ``server_workers``, ``tls``, ``protocols``, ``balancers``, ``clients`` and ``load_on`` multiplies
    the cells.
    """

    name: str
    connections: int  # over all load hosts together
    warmup_seconds: int  # load that is not counted
    window_seconds: int  # load that is counted
    blocks: int  # every cell is measured once in each block
    idle_rest_seconds: float  # before the load, for the memory of an idle server
    after_rest_seconds: float  # after the load, for the memory that stays
    load_workers: int | None = None  # processes on each load host; None: one for each of its cores
    server_workers: tuple[int, ...] = (1,)  # worker processes of the server
    tls: tuple[bool, ...] = (False,)  # whether clients connect with TLS
    # What is spoken to endpoints of HTTP: http/1.1, h2. An endpoint of another protocol has its own.
    protocols: tuple[str, ...] = (USUAL_PROTOCOL,)
    # What stands between load and server, "" for nothing. Behind a balancer each worker is a process that
    # listens on a Unix socket of its own, for every server.
    balancers: tuple[Balancer, ...] = (NO_BALANCER,)
    description: str = ""  # shown to readers
    # Each adds open-loop cells: requests/s ("500"), or a share of the server's closed-loop maximum ("70%").
    rates: tuple[str, ...] = ()
    arrivals: Arrivals = "constant"  # of the requests in open-loop cells
    clients: tuple[Client, ...] = (USUAL_CLIENT,)  # what makes the load; rates are the engine's alone
    load_on: tuple[LoadPlace, ...] = ("loadgen",)  # where it is made; rates are for "loadgen" alone
    # Processes over all load hosts together, at least one each, in place of load_workers. Where the load is
    # on the server's own host, all of them run there.
    load_workers_in_all: int | None = None
    version_set: str = ""  # what --set is unless it is given: current, paper, both; empty: entries by name
