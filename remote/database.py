"""PostgreSQL: made on its host and started under the guard, or an existing one; filled, its counters read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from bench.environment.hosts import ExistingDatabase
from bench.errors import DatabaseError, HostUnsuitable
from bench.results.figures import DatabaseCounters
from bench.wire.codec import decode_tagged
from bench.wire.database import (
    ClusterCommand,
    ClusterPrepared,
    ClusterReady,
    CountersRead,
    DataFilled,
    ProgramFailed,
    SchemaDropped,
)
from bench.wire.route import ROUTE_EVENTS, NoRoute, Route
from remote.guarded import GuardedHost
from remote.provision.ship import shipped_program

TOOLS_GROUP = "host-tools"
FOLDER = "postgres"
LOG = f"{FOLDER}/postgres.log"
PROCESS_NAME = "database"
PREPARE_SECONDS = 120
LOOPBACK = "127.0.0.1"
ANY_ADDRESS = {"0.0.0.0": LOOPBACK, "::": "::1"}
EXACT_SINCE_VERSION = 15

Answered = TypeVar("Answered")


class ProgramPlace(msgspec.Struct, frozen=True):
    """Where testapp's programs run: a host, the Python of its host-tools, the folder that holds testapp."""

    host: GuardedHost
    python: str
    app_directory: str

    def ask(self, module: str, *arguments: str, answer: type[Answered], url: str = "") -> Answered:
        """Run one of testapp's programs on the host; what it printed. Raises DatabaseError with its words."""
        done = self.host.run(
            [self.python, "-m", f"testapp.{module}", *arguments],
            cwd=self.app_directory,
            env={"ASGIBENCH_DATABASE_URL": url} if url else {},
            timeout_seconds=PREPARE_SECONDS,
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        if done.exit_status != 0:
            failed = ProgramFailed(done.stderr.decode(errors="replace")[-400:] or "it printed nothing", "")
            if lines:
                failed = msgspec.json.decode(lines[-1], type=ProgramFailed)
            raise DatabaseError(
                f"{self.host.host.name}: PostgreSQL: {failed.error}",
                remedy=failed.remedy,
                detail=self.host.tail(LOG, 2_000),
            )
        return msgspec.json.decode(lines[-1], type=answer)


class FilledDatabase(msgspec.Struct, frozen=True):
    """A running database with its data. Both URLs have a password in them: never log or keep them."""

    place: ProgramPlace  # where it is filled, and its counters are read
    url: str  # as the measured server reaches it
    own_url: str  # as ``place`` reaches it
    shown: str  # what a result calls it
    version: str  # PostgreSQL's
    # The leader's; None for a database that is not ours: its memory and CPU are not sampled.
    pid: int | None

    def __repr__(self) -> str:
        return f"FilledDatabase({self.shown})"


def start_database(
    place: ProgramPlace, *, cores: Sequence[int] | None, seed: int, server: ProgramPlace
) -> FilledDatabase:
    """Have PostgreSQL run with the data of ``seed`` on the host of ``place``, for the server on that of
    ``server``. Raises DatabaseError with the log's tail, HostUnsuitable where it can't listen."""
    host = place.host
    directory = f"{host.workdir}/{FOLDER}"
    # Made here, so that the guard's log has a folder; a user without rights must pass through.
    host.run(["mkdir", "-p", "-m", "711", directory])
    access = _Access(LOOPBACK, LOOPBACK, ()) if host is server.host else _access(host, server)
    port = _port(host, access.bind)
    allow = [word for address in access.allowed for word in ("--allow", address)]
    prepared = place.ask(
        "postgres",
        "prepare",
        "--directory",
        directory,
        "--port",
        str(port),
        "--bind",
        access.bind,
        *allow,
        answer=ClusterPrepared,
    )
    command = place.ask("postgres", "command", "--directory", directory, answer=ClusterCommand)
    host.remove(LOG)
    pid = host.start(
        PROCESS_NAME,
        command.argv,
        log=LOG,
        env=command.environment,
        cwd=command.working_directory,
        user=command.user,
        cores=cores,
    )
    own = ANY_ADDRESS.get(access.bind, access.bind)
    own_url = place.ask("postgres", "wait", "--directory", directory, "--host", own, answer=ClusterReady).url
    place.ask("database", "fill", "--seed", str(seed), answer=DataFilled, url=own_url)
    url = own_url.replace(f"@{_bracketed(own)}:", f"@{_bracketed(access.address)}:")
    database = FilledDatabase(place, url, own_url, host.host.name, prepared.version, pid)
    if host is not server.host:
        _check_reach(database, server, access)
    return database


def use_database(existing: ExistingDatabase, server: ProgramPlace, *, seed: int) -> FilledDatabase:
    """A PostgreSQL that is not ours: reached from the server's host, and our schema in it filled.

    Raises DatabaseError where it can't be reached, or its role may not make a schema.
    """
    try:
        server.ask("database", "fill", "--seed", str(seed), answer=DataFilled, url=existing.url)
        version = server.ask("database", "counters", answer=CountersRead, url=existing.url).server_version
    except DatabaseError as error:
        raise _about(error, f"{server.host.host.name}: the database {existing.shown}") from error
    return FilledDatabase(server, existing.url, existing.url, existing.shown, version, None)


def drop_schema(existing: ExistingDatabase, server: ProgramPlace) -> bool:
    """Remove all that we made in a database that is not ours; whether there was anything.

    Raises DatabaseError.
    """
    try:
        return server.ask("database", "drop", answer=SchemaDropped, url=existing.url).dropped
    except DatabaseError as error:
        raise _about(error, f"{server.host.host.name}: the database {existing.shown}") from error


def read_counters(database: FilledDatabase) -> DatabaseCounters | None:
    """PostgreSQL's own counts; exact while no server is connected.

    None for a database that is not ours where they would not be exact: others are connected, or it is older
    than PostgreSQL 15, which publishes its counts late.
    """
    read = database.place.ask("database", "counters", answer=CountersRead, url=database.own_url)
    is_exact = read.numbackends == 1 and int(read.server_version.split(".")[0]) >= EXACT_SINCE_VERSION
    if database.pid is None and not is_exact:
        return None
    return msgspec.convert(read, DatabaseCounters, from_attributes=True)


class _Access(msgspec.Struct, frozen=True):
    """What PostgreSQL listens on, what the server connects to, and the addresses that it lets in."""

    bind: str
    address: str
    allowed: tuple[str, ...]


def _access(host: GuardedHost, server: ProgramPlace) -> _Access:
    """Between two hosts: the server host's own resolver and routes say who is who."""
    address = host.host.address
    argv, env = shipped_program(server.python, server.app_directory, "remote.onhost.route")
    done = server.host.run([*argv, address], env=env)
    route = decode_tagged(ROUTE_EVENTS, "event", done.stdout)
    if isinstance(route, NoRoute):
        raise DatabaseError(
            f"{server.host.host.name}: no way to the database host {host.host.name} as '{address}' "
            f"({route.error})",
            remedy=f"Set asgibench_address of {host.host.name} to what the server's host reaches it by",
        )
    assert isinstance(route, Route)
    # Both: with a NAT in between for some ways only, either may be what the database host sees.
    stated = server.host.host.source_address
    allowed = tuple(dict.fromkeys(one for one in (stated, route.source) if one))
    return _Access(host.host.bind or route.address, address, allowed)


def _port(host: GuardedHost, bind: str) -> int:
    wanted = host.host.database_port
    problem = None if wanted is None else host.port_problem(bind, wanted)
    port = host.free_port(bind) if wanted is None else wanted
    if port and problem is None:
        return port
    raise HostUnsuitable(
        f"{host.host.name}: PostgreSQL can't listen on {bind}{'' if wanted is None else f' port {wanted}'}"
        f"{'' if problem is None else f' ({problem.text})'}",
        remedy=f"Set asgibench_bind of {host.host.name} to an address of the machine's own"
        + ("" if wanted is None else ", or another asgibench_database_port"),
    )


def _check_reach(database: FilledDatabase, server: ProgramPlace, access: _Access) -> None:
    try:
        server.ask("database", "counters", answer=CountersRead, url=database.url)
    except DatabaseError as error:
        refused = "pg_hba.conf" in error.message
        raise DatabaseError(
            f"{server.host.host.name} does not reach PostgreSQL on {database.shown} as {access.address}: "
            f"{error.message.partition('PostgreSQL: ')[2]}",
            remedy="A NAT changes the server's address: set asgibench_source_address of "
            f"{server.host.host.name} to the one named"
            if refused
            else f"Let the port through a firewall in between; asgibench_database_port of {database.shown} "
            "fixes which",
        ) from error


def _about(error: DatabaseError, subject: str) -> DatabaseError:
    return DatabaseError(f"{subject}: {error.message.partition('PostgreSQL: ')[2]}", remedy=error.remedy)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
