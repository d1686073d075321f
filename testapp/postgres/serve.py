"""How a prepared cluster is started, and when it is ready. Shipped; standard library only."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from bench.wire.database import ClusterCommand, ClusterReady
from testapp.postgres.account import ENVIRONMENT, PostgresError
from testapp.postgres.cluster import find_binaries, find_running, prepared_cluster

POLL_SECONDS = 0.02


def command(directory: Path) -> ClusterCommand:
    """What the host's guard has to start. Raises PostgresError where nothing is prepared."""
    cluster = prepared_cluster(directory)
    return ClusterCommand(
        argv=(str(find_binaries() / "postgres"), "-D", str(cluster.data)),
        environment=ENVIRONMENT,
        user=cluster.user,
        working_directory=str(directory),
        stop_signal="SIGINT",
    )


def wait_until_ready(directory: Path, host: str, role: str, timeout_seconds: float) -> ClusterReady:
    """Until this cluster (and no other that may have its port) takes connections. Raises PostgresError."""
    cluster = prepared_cluster(directory)
    if role not in cluster.passwords:
        raise PostgresError(f"there is no role {role}", f"Take one of {', '.join(cluster.passwords)}")
    deadline = time.monotonic() + timeout_seconds
    while (running := find_running(cluster.data)) is None or not _accepts(host, running[1]):
        if time.monotonic() > deadline:
            message = f"PostgreSQL in {directory} does not accept connections after {timeout_seconds:g} s"
            raise PostgresError(message, "See its log: what it printed on stderr")
        time.sleep(POLL_SECONDS)
    process_id, port = running
    return ClusterReady(cluster.url(host, port, role), process_id, port)


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
