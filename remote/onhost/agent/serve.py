"""The control socket, and the loop that samples and answers."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from pathlib import Path

from bench.wire.agent import encode_answer
from remote.onhost.agent.agent import Agent

LINE_LIMIT_BYTES = 65_536


class Caller:
    """One connection and what of its next request has come."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""


def listen(path: Path) -> socket.socket | None:
    """The control socket, for its owner only; None if another agent answers on it."""
    # A relative name: a unix socket's path has room for about 100 bytes.
    os.chdir(path.parent)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.connect(path.name)
    except (FileNotFoundError, ConnectionRefusedError):
        Path(path.name).unlink(missing_ok=True)
    else:
        listener.close()
        return None
    listener.close()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o077)
    try:
        listener.bind(path.name)
    finally:
        os.umask(before)
    listener.listen(8)
    listener.setblocking(False)
    return listener


def _receive(agent: Agent, caller: Caller) -> bool:
    """Answer what has come; False: this caller has gone."""
    try:
        chunk = caller.connection.recv(LINE_LIMIT_BYTES)
    except BlockingIOError:
        return True
    except OSError:
        return False
    *lines, caller.received = (caller.received + chunk).split(b"\n")
    try:
        for line in lines:
            caller.connection.sendall(encode_answer(agent.answer(line)))
    except OSError:
        # It went away, or doesn't read. What it asked for is done, and an ``end`` may be asked again.
        return False
    return bool(chunk) and len(caller.received) < LINE_LIMIT_BYTES


def serve(agent: Agent, listener: socket.socket, wake: socket.socket) -> None:
    """Sample and answer until a byte comes on ``wake``, which is a signal."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while not agent.is_quitting:
            deadline = agent.deadline
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            for key, _ in selector.select(timeout):
                if key.fileobj is listener:
                    with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                        connection, _address = listener.accept()
                        connection.setblocking(False)
                        selector.register(connection, selectors.EVENT_READ, Caller(connection))
                elif key.fileobj is wake:
                    agent.stop()
                elif not _receive(agent, key.data):
                    selector.unregister(key.fileobj)
                    key.data.connection.close()
            deadline = agent.deadline
            if deadline is not None and time.monotonic() >= deadline:
                agent.sample()
        for key in list(selector.get_map().values()):
            if isinstance(key.data, Caller):
                key.data.connection.close()
