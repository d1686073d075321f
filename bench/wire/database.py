"""What the database's programs on its host print for the controller, each one JSON object.

``testapp.postgres`` makes and finds the cluster, ``testapp.database`` fills it and reads its counters.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProgramFailed:
    """Printed in place of any of the others, with exit status 1."""

    error: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ClusterPrepared:
    """Of ``postgres prepare``."""

    created: bool  # False: it was there already
    version: str  # PostgreSQL's, "18.6"
    user: str | None  # whom it runs as; None: whoever asks
    port: int
    seconds: float  # that it took


@dataclass(frozen=True, slots=True)
class ClusterCommand:
    """Of ``postgres command``: what to start in the foreground. It logs to stderr."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    user: str | None  # as whom; None: as whoever starts it
    working_directory: str
    stop_signal: str  # PostgreSQL's fast shutdown: connections are cut, the cluster is left clean


@dataclass(frozen=True, slots=True)
class ClusterReady:
    """Of ``postgres wait``: it accepts connections."""

    url: str  # with the password in it
    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class DataFilled:
    """Of ``database fill``: the data of a seed is in the schema ``asgibench``."""

    filled: bool  # False: the same data stood there already, and nothing was written
    fingerprint: str  # hex, of all that the tables are made from
    users: int
    orders: int
    checkpointed: bool  # what was written is on disk before the first run
    seconds: float  # that it took


@dataclass(frozen=True, slots=True)
class SchemaDropped:
    """Of ``database drop``."""

    dropped: bool  # False: there was none


@dataclass(frozen=True, slots=True)
class CountersRead:
    """Of ``database counters``: PostgreSQL's own counts for the database, since it was made."""

    numbackends: int  # now, this program's own included; while it is the only one, the counts are exact
    xact_commit: int
    xact_rollback: int
    tup_returned: int
    tup_fetched: int
    blks_read: int
    blks_hit: int
    server_version: str  # "18.6"
    own_transactions: int  # of xact_commit: what each reading itself takes
