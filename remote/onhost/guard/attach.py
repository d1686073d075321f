"""Joining the guard of a session, or becoming it, and passing lines on between it and the controller."""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path

from bench.wire.attach import AttachOrder, Hello
from bench.wire.codec import encode_line
from remote.onhost.guard.become import LISTENS, SOCKET, become_guard
from remote.onhost.guard.peer import CHUNK_BYTES
from remote.onhost.guard.refused import Refused

JOIN_SECONDS = 10
RETRY_SECONDS = 0.02


def attach(order: AttachOrder) -> None:
    """Relay between stdin and stdout and the guard until either ends. Raises Refused, OSError, RuntimeError.

    A guard of another session answers with a HostHeld and nothing else.
    """
    folder = prepare_folder(Path(order.workdir), order.marker)
    connection = join(folder, order)
    connection.sendall(encode_line(Hello(order.session)))
    relay(connection)


def prepare_folder(workdir: Path, marker: str) -> Path:
    """W/guard, private, in a work folder that is ours: new, empty, or with our marker in it. Raises Refused.

    W itself may be passed through (PostgreSQL runs as another user) but not read.
    """
    if workdir.exists():
        if workdir.stat().st_uid != os.geteuid():
            raise Refused("anothers", f"{workdir} belongs to another user")
        if not (workdir / marker).exists() and any(workdir.iterdir()):
            raise Refused("not_ours", f"{workdir} is not empty and has no {marker}")
    previous = os.umask(0o077)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / marker).touch()
        folder = workdir / "guard"
        folder.mkdir(exist_ok=True)
    finally:
        os.umask(previous)
    workdir.chmod(0o711)
    folder.chmod(0o700)
    return folder


def join(folder: Path, order: AttachOrder) -> socket.socket:
    """A connection to the guard, started if need be. Raises OSError, RuntimeError."""
    os.chdir(folder)
    deadline = time.monotonic() + JOIN_SECONDS
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(SOCKET)
            return connection
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
        if not spawn_guard(folder, order):
            if time.monotonic() > deadline:
                raise RuntimeError("another guard holds the lock and does not answer")
            time.sleep(RETRY_SECONDS)


def spawn_guard(folder: Path, order: AttachOrder) -> bool:
    """Fork the guard into the background; it listens then. False: another one holds the lock."""
    hear, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        log = os.open(folder / "guard.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDWR)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.close(hear)
        status = 0
        try:
            become_guard(folder, order, tell)
        except BaseException:
            import traceback

            traceback.print_exc()
            status = 1
        os._exit(status)
    os.close(tell)
    os.wait()
    word = os.read(hear, 1)
    os.close(hear)
    if not word:
        raise RuntimeError(f"the guard did not start; see {folder / 'guard.log'}")
    return word == LISTENS


def relay(connection: socket.socket) -> None:
    """stdin to the guard, the guard to stdout, until either ends."""
    ends = {0: connection.fileno(), connection.fileno(): 1}
    while True:
        readable, _, _ = select.select(list(ends), [], [])
        for source in readable:
            chunk = os.read(source, CHUNK_BYTES)
            if not chunk:
                return
            view = memoryview(chunk)
            while view:
                view = view[os.write(ends[source], view) :]
