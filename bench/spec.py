"""Frozen specs: what is compared, against what, for how long. Parsed once, passed explicitly."""

from __future__ import annotations

from typing import Literal

import msgspec

Arrivals = Literal["constant", "poisson"]
"""Of an open loop's requests: evenly spaced, or independent of each other."""

Client = Literal["engine", "http_user", "fast_http_user"]
"""What sends the requests: our engine, or one of Locust's own two clients."""

LoadPlace = Literal["loadgen", "server"]
"""Where it runs: on the load hosts, or on the server's own host and cores, as the paper had it."""

VersionSet = Literal["current", "paper"]
"""Of servers: today's versions, or those of the paper."""


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
        body = f" with {self.request_length_bytes:,} bytes" if self.request_length_bytes else ""
        return f"{self.method} {self.path}{body}"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Abstract settings of a server; ``ServerSpec.command`` says how each becomes a flag.

    An empty ``http_parser`` is the only one that the server has.
    """

    loop: str = "asyncio"
    http_parser: str = ""
    backlog: int = 2048
    keep_alive_seconds: int = 75
    access_log: bool = False


class VersionRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for some versions of a server only.

    ``versions`` is a version specifier as in a requirement: ``">=0.37"``, ``">=0.22,<0.30"``.
    ``flags`` take the place of the whole word ``{flags}`` in ``ServerSpec.command`` (same placeholders).
    ``config_file``, unless empty, takes the place of the server's.
    ``unhonoured_settings`` are added to the server's. In both, ``tcp_nodelay`` may stand too, which every
    server is expected to set by itself.
    """

    versions: str
    flags: tuple[str, ...] = ()
    config_file: str = ""
    unhonoured_settings: dict[str, str] = {}


class ServerSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of servers.toml.

    ``environment_group`` is the dependency group in uv.lock that the server runs from.
    ``command`` is an argument vector; its first word is a program of the environment. Filled in are ``{app}
    {host} {port} {workers} {config_file}`` (a path) and the settings ``{loop} {http_parser} {backlog}
    {keep_alive_seconds}``. For IPv6, ``{bracketed_host}`` is what goes before ``:{port}`` and
    ``{escaped_host}`` is what Twisted's endpoint strings take. The whole word ``{access_log}`` becomes the
    words of ``access_log_on`` or ``access_log_off``. Each setting is filled in somewhere or stands in
    ``unhonoured_settings``.
    ``config_file`` is the text of a configuration file to be written beside the run (same placeholders).
    ``unsupported_endpoints`` maps an endpoint to the reason that this server can't serve it.
    ``unhonoured_settings`` maps a setting to what the server does instead; printed in the report.
    ``version_set`` is what ``--set`` chooses by; ``family`` is the entry of the current set that this one
    stands beside, empty for its own name.
    ``version_ranges`` are looked through in their order; where there are any, the locked version must be in
    one. In a plan they are resolved: none is left, and ``{version}`` in the title is the locked version.
    """

    name: str
    package: str
    environment_group: str
    command: tuple[str, ...]
    title: str = ""
    settings: Settings = Settings()
    config_file: str = ""
    access_log_on: tuple[str, ...] = ()
    access_log_off: tuple[str, ...] = ()
    environment_variables: dict[str, str] = {}
    max_workers: int | None = None
    unsupported_endpoints: dict[str, str] = {}
    unhonoured_settings: dict[str, str] = {}
    licence: str = ""
    version_set: VersionSet = "current"
    family: str = ""
    version_ranges: tuple[VersionRange, ...] = ()


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long and how hard. ``load_workers`` is per load host; None means one for each of its cores.

    ``load_workers_in_all`` instead is their number over all load hosts together, at least one a host; with
    the load on the server's own host, all of them are there. Each cell is measured with each of ``clients``
    at each place of ``load_on``; stated rates are the engine's on the load hosts. ``version_set`` is what
    ``--set`` is unless it is given: current, paper, both, or empty for the entries' own names.

    Each of ``rates`` adds an open-loop cell to every closed-loop one: requests a second (``"500"``), or a
    share of what the server reached in that closed loop (``"70%"``). ``arrivals`` are of these.
    """

    name: str
    connections: int
    warmup_seconds: int
    window_seconds: int
    blocks: int
    idle_rest_seconds: float
    after_rest_seconds: float
    load_workers: int | None = None
    server_workers: tuple[int, ...] = (1,)
    description: str = ""
    rates: tuple[str, ...] = ()
    arrivals: Arrivals = "constant"
    clients: tuple[Client, ...] = ("engine",)
    load_on: tuple[LoadPlace, ...] = ("loadgen",)
    load_workers_in_all: int | None = None
    version_set: str = ""
