"""The database: PostgreSQL of our own or an existing one, its transactions counted around each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from bench.errors import DatabaseError
from bench.results.evidence import DatabaseEvidence
from bench.results.figures import DatabaseCounters
from bench.spec import Endpoint
from remote.database import (
    LOG,
    PROCESS_NAME,
    TOOLS_GROUP,
    FilledDatabase,
    ProgramPlace,
    read_counters,
    start_database,
    use_database,
)
from remote.fleet import Fleet
from remote.provision.provision import Provisioned


class DatabaseParty(msgspec.Struct, frozen=True):
    """``database`` is None where no endpoint of the plan uses one: then every method does nothing."""

    database: FilledDatabase | None
    # Whose agent samples it. Empty for one that is not ours.
    host: str
    # Of the database's host.
    cores_usable: tuple[int, ...]

    @classmethod
    def start(
        cls,
        fleet: Fleet,
        endpoints: Sequence[Endpoint],
        provisioned: Mapping[str, Provisioned],
        *,
        cores: Sequence[int] | None,
        seed: int,
    ) -> DatabaseParty:
        """Running and filled with the data of ``seed``. Raises DatabaseError, HostUnsuitable."""
        existing = fleet.inventory.existing_database
        host = "" if existing is not None else fleet.database.host.name
        cores_usable = fleet.database.facts.cores_usable
        if not any(endpoint.may_use_database for endpoint in endpoints):
            return cls(None, host, cores_usable)
        places = {
            one.host.name: ProgramPlace(
                one,
                provisioned[one.host.name].environments[TOOLS_GROUP].python,
                str(provisioned[one.host.name].shipped),
            )
            for one in (fleet.server, fleet.database)
        }
        server = places[fleet.server.host.name]
        if existing is not None:
            return cls(use_database(existing, server, seed=seed), host, cores_usable)
        place = places[fleet.database.host.name]
        database = start_database(place, cores=cores, seed=seed, server=server)
        return cls(database, host, cores_usable)

    @property
    def url(self) -> str:
        """What the measured server connects to, with the password in it. Empty without a database."""
        return "" if self.database is None else self.database.url

    @property
    def version(self) -> str:
        """PostgreSQL's. Empty without a database."""
        return "" if self.database is None else self.database.version

    def placement_text(self) -> dict[str, str]:
        """Where a database that is not ours is, in its own words; else the placement says it."""
        if self.database is None or self.database.pid is not None:
            return {}
        return {"database": f"{self.database.shown}, not ours: PostgreSQL {self.database.version}"}

    def begin(self, endpoint: Endpoint) -> DatabaseCounters | None:
        """The counts before a run; None where the endpoint doesn't use it. Raises DatabaseError."""
        if self.database is None or not endpoint.uses_database:
            return None
        return read_counters(self.database)

    def check(self) -> None:
        """Raises DatabaseError if a database of ours has ended by itself."""
        if self.database is None or self.database.pid is None:
            return
        place = self.database.place.host
        status = place.exit_status(PROCESS_NAME)
        if status is not None:
            raise DatabaseError(
                f"{place.host.name}: PostgreSQL ended in mid-run with status {status}",
                remedy="The end of its log follows",
                detail=place.tail(LOG, 2_000),
            )

    def targets(self) -> dict[str, dict[str, int]]:
        """{host: {"database": pid}} of what an agent can sample."""
        if self.database is None or self.database.pid is None:
            return {}
        return {self.host: {"database": self.database.pid}}

    def collect(self, endpoint: Endpoint, before: DatabaseCounters | None) -> DatabaseEvidence:
        """Its counts are exact once the server, its only client, has gone. Raises DatabaseError."""
        return DatabaseEvidence(self.host, before, self.begin(endpoint))
