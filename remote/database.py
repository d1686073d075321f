"""PostgreSQL on its host: made, started under the guard, filled, and its counters read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import DatabaseError
from bench.result import DatabaseCounters
from remote.guarded import GuardedHost
from remote.provision import Environment

FOLDER = "postgres"
LOG = f"{FOLDER}/postgres.log"
PROCESS_NAME = "database"
PREPARE_SECONDS = 120
LOOPBACK = "127.0.0.1"


class Database(msgspec.Struct, frozen=True):
    """A running, filled database. ``url`` has the password in it: never logged, never in a result."""

    host: GuardedHost
    python: str
    app_directory: str
    url: str
    pid: int
    version: str


def app_files() -> dict[str, bytes]:
    """The folder testapp as it is shipped."""
    folder = Path(__file__).resolve().parent.parent / "testapp"
    files = [path for path in sorted(folder.iterdir()) if path.suffix in (".py", ".sql")]
    return {f"testapp/{path.name}": path.read_bytes() for path in files}


def start_database(
    host: GuardedHost,
    tools: Environment,
    app_directory: str,
    *,
    cores: Sequence[int] | None,
    seed: int,
    client_address: str | None = None,
) -> Database:
    """Have PostgreSQL run with the data of ``seed``. Raises DatabaseError with the log's tail.

    ``client_address`` is the server host's address where that is another host; None: loopback only.
    """
    place = _Place(host, tools.python, app_directory, f"{host.workdir}/{FOLDER}")
    # Made here, so that the guard's log has a folder; a user without rights must pass through.
    host.run(["mkdir", "-p", "-m", "711", place.directory])
    address = LOOPBACK if client_address is None else host.host.bind or host.host.address
    port = host.free_port(address)
    allow = [] if client_address is None else ["--allow", client_address]
    prepared = place.ask(
        "postgres", "prepare", "--directory", place.directory, "--port", str(port), "--bind", address, *allow
    )
    command = place.ask("postgres", "command", "--directory", place.directory)
    host.remove(LOG)
    pid = host.start(
        PROCESS_NAME,
        command["argv"],
        log=LOG,
        env=command["environment"],
        cwd=command["working_directory"],
        user=command["user"],
        cores=cores,
    )
    url = place.ask("postgres", "wait", "--directory", place.directory, "--host", address)["url"]
    place.ask("database", "fill", "--seed", str(seed), url=url)
    return Database(host, tools.python, app_directory, url, pid, prepared["version"])


def read_counters(database: Database) -> DatabaseCounters:
    """PostgreSQL's own counts; exact while no server is connected."""
    place = _Place(database.host, database.python, database.app_directory, "")
    return msgspec.convert(place.ask("database", "counters", url=database.url), DatabaseCounters)


class _Place(msgspec.Struct, frozen=True):
    host: GuardedHost
    python: str
    app_directory: str
    directory: str

    def ask(self, module: str, *arguments: str, url: str = "") -> Any:
        """One of testapp's programs on the host; its JSON answer. Raises DatabaseError with its words."""
        done = self.host.run(
            [self.python, "-m", f"testapp.{module}", *arguments],
            cwd=self.app_directory,
            env={"ASGIBENCH_DATABASE_URL": url} if url else {},
            timeout_seconds=PREPARE_SECONDS,
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        answer = msgspec.json.decode(lines[-1]) if lines else {}
        if done.exit_status != 0:
            text = answer.get("error") or done.stderr.decode(errors="replace")[-400:] or "it said nothing"
            raise DatabaseError(
                f"{self.host.host.name}: PostgreSQL: {text}",
                remedy=answer.get("remedy", ""),
                detail=self.host.tail(LOG, 2_000),
            )
        return answer
