"""Becoming the guard, in the background: it takes the host, ends what an earlier guard left, listens, serves.

What greets comes first, and what serves is loaded behind it: the controller waits for the greeting.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

from bench.wire.attach import AttachOrder
from remote.onhost.guard.peer import CHUNK_BYTES, Peer, greet
from remote.onhost.guard.record import RECORD, kill_leftovers, log

SOCKET = "sock"
RUN_FILES = "run-*"
# What the process that started the guard hears: it listens, or another guard holds the host.
LISTENS, LOCKED = b"R", b"L"


def become_guard(folder: Path, order: AttachOrder, tell: int) -> None:
    """Serve until released. One byte to the file ``tell``, LISTENS or LOCKED, once it is clear which."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(tell, LOCKED)
        return
    since = time.time()
    os.chdir(folder)
    killed = kill_leftovers(folder)
    if killed:
        log(f"ended {killed} processes of an earlier guard")
    for stale in folder.glob(RUN_FILES):
        stale.unlink()
    Path(SOCKET).unlink(missing_ok=True)
    # A relative name: a unix socket's path has room for about 100 bytes.
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(SOCKET)
    listener.listen(8)
    os.write(tell, LISTENS)
    os.close(tell)
    try:
        first = greet_first(listener, order, since)
        from remote.onhost.guard.serve import GuardLoop

        GuardLoop(folder, order, since, listener).serve(first)
    finally:
        Path(SOCKET).unlink(missing_ok=True)
        Path(RECORD).unlink(missing_ok=True)


def greet_first(listener: socket.socket, order: AttachOrder, since: float) -> Peer:
    """The first relay of the session. Raises TimeoutError where none comes while the lease lasts."""
    deadline = time.monotonic() + order.lease_seconds
    while True:
        listener.settimeout(max(0.001, deadline - time.monotonic()))
        connection, _ = listener.accept()
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        peer = Peer(connection)
        # One line and no more: a relay sends nothing else until it is greeted.
        lines: list[bytes] = []
        while not lines and (chunk := connection.recv(CHUNK_BYTES)):
            lines = peer.lines(chunk)
        if lines and greet(peer, lines[0], order, since):
            return peer
        connection.close()
