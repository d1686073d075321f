"""Makes a cluster, and writes its configuration. Shipped; standard library only."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.wire.database import ClusterPrepared
from testapp.postgres.account import Account, PostgresError, check_passage, choose_account
from testapp.postgres.cluster import (
    ROLE,
    SUPERUSER,
    PostgresCluster,
    find_binaries,
    find_running,
    load_cluster,
    major,
    version_of,
)

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


@dataclass(frozen=True)
class Access:
    """Where PostgreSQL listens, and whom it lets in besides its own host."""

    bind: str
    port: int
    allowed: tuple[str, ...]


def prepare(directory: Path, access: Access, user: str | None) -> ClusterPrepared:
    """Make or keep the cluster, and write its configuration. Raises PostgresError."""
    started = time.monotonic()
    binaries = find_binaries()
    _make_folder(directory)
    account = choose_account(user)
    check_passage(directory, account)
    # An installer may have put links there: to files in a cache of root's, for one.
    check_passage((binaries / "postgres").resolve().parent, account)
    version = version_of(binaries)
    cluster = load_cluster(directory)
    created = cluster is None or major(cluster.version) != major(version) or cluster.user != account.name
    if created:
        cluster = _create(directory, binaries, account, version)
    assert cluster is not None
    _configure(cluster.data, access, account)
    return ClusterPrepared(
        created=created,
        version=version,
        user=account.name,
        port=access.port,
        seconds=round(time.monotonic() - started, 3),
    )


def _make_folder(directory: Path) -> None:
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(0o711)


def _create(directory: Path, binaries: Path, account: Account, version: str) -> PostgresCluster:
    """All in D/data.new, which gets its name when it is complete."""
    data, unfinished = directory / "data", directory / "data.new"
    running = find_running(data)
    if running is not None:
        message = f"an older PostgreSQL (process {running[0]}) still runs in {data}"
        raise PostgresError(message, "Stop it, then do this again")
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
    return PostgresCluster(directory, version, account.name, passwords)


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
