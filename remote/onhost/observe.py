"""What a server that is ready is seen to do: its part of answers.py. Shipped; standard library only.

Every figure is of this server as it runs now, not of its command: each process's own words, an answer as it
came over the wire, its log's growth, and which processes wait at its socket.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.wire.answers import ReadyOrder
from bench.wire.observation import Configuration, ServerSeen
from remote.onhost.processes import family, process_table
from remote.onhost.reach import connect
from remote.onhost.unix_sockets import backlog_of, unix_listeners

# An idle connection rests for so long at least before it is asked again: a server that closes each after its
# answer, or at once when idle, has done so by then.
IDLE_SECONDS = 0.04
# Enough that a line for each can't be taken for what a server logs as it starts.
PROBES = 8
PATIENCE_SECONDS = 5.0
LISTENING = "0A"  # in /proc/net/tcp


class _Closed(ConnectionError):
    """The server has closed the connection."""


def observe(
    order: ReadyOrder, known: dict[int, Configuration], ask: Callable[[], Configuration]
) -> ServerSeen:
    """``known`` are the processes that have answered already; ``ask`` asks one over a fresh connection.

    Raises OSError where a server that was ready answers no more.
    """
    found = dict(known)
    log = Path(order.log_path)
    log_before = _size(log)
    with connect(order, PATIENCE_SECONDS) as kept:
        head = _asked(kept, order)
        rests_from = time.monotonic()
        for _ in range(PROBES):
            told = ask()
            found[int(told["pid"] or 0)] = told
        accepting = _accepting(order)
        time.sleep(max(0.0, rests_from + IDLE_SECONDS - time.monotonic()))
        idle_seconds = time.monotonic() - rests_from
        try:
            _asked(kept, order)
            kept_alive = True
        except ConnectionError:
            kept_alive = False
    status_line, *lines = head.decode("latin-1").split("\r\n")
    return ServerSeen(
        configurations=tuple(told for _, told in sorted(found.items())),
        accepting_pids=accepting,
        status_line=status_line,
        header_lines=tuple(lines),
        head_bytes=len(head) + len(b"\r\n\r\n"),
        kept_alive=kept_alive,
        idle_seconds=idle_seconds,
        requests=PROBES + 1 + kept_alive,
        log_lines=_lines_after(log, log_before),
        log_bytes=_size(log),
        unix_backlog=_unix_backlog(order.socket),
    )


# ---------------------------------------------------------------- on the wire


def _asked(connection: socket.socket, order: ReadyOrder) -> bytes:
    """The head of one answer, its body read. Raises _Closed, OSError."""
    text = f"GET {order.process_path} HTTP/1.1\r\nHost: {order.address}:{order.port}\r\n\r\n"
    connection.sendall(text.encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    left = _content_length(head) - len(body)
    while left > 0:
        left -= len(_some(connection))
    return head


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 16)
    if not data:
        raise _Closed
    return data


def _content_length(head: bytes) -> int:
    """0 without the header: what comes then is read with the next answer, or ends with the connection."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


# ---------------------------------------------------------------- its log


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _lines_after(log: Path, offset: int) -> int:
    if not log.exists():
        return 0
    with log.open("rb") as file:
        file.seek(offset)
        return file.read().count(b"\n")


# ---------------------------------------------------------------- who accepts


def _accepting(order: ReadyOrder) -> tuple[int, ...] | None:
    """The server's processes that wait for connections at its place, by process number.

    A process may hold a listening socket and never accept (a parent does); one that waits has it in an epoll.
    None where the system has no such thing, or no process waits by one.
    """
    if sys.platform != "linux":
        return None
    sockets = set(unix_listeners(order.socket) if order.socket else _listening_inodes(order.port))
    found = [pid for pid in family({order.pid}, process_table()) if sockets & set(_watched_inodes(pid))]
    return tuple(found) or None


def _listening_inodes(port: int) -> Iterator[int]:
    """Of every socket of this network that listens at the port."""
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError), Path(f"/proc/net/{name}").open() as table:
            next(table)
            for line in table:
                fields = line.split()
                if fields[3] != LISTENING:
                    break  # these come first, and the others may be very many
                if int(fields[1].rpartition(":")[2], 16) == port:
                    yield int(fields[9])


def _unix_backlog(path: str) -> int | None:
    """The least of the sockets that listen at the path; "" is none."""
    found = [backlog_of(inode) for inode in unix_listeners(path)] if path else []
    return min((one for one in found if one is not None), default=None)


def _watched_inodes(pid: int) -> Iterator[int]:
    """What the process's epolls watch. Nothing of a process that has gone or is not ours."""
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - one call, and no object for each row
            with contextlib.suppress(OSError):
                if "[eventpoll]" in os.readlink(f"/proc/{pid}/fd/{name}"):  # noqa: PTH115 - as above
                    yield from _watched_by(Path(f"/proc/{pid}/fdinfo/{name}").read_text())


def _watched_by(fdinfo: str) -> Iterator[int]:
    for line in fdinfo.splitlines():
        _, separator, rest = line.partition(" ino:")
        if line.startswith("tfd:") and separator:
            yield int(rest.split()[0], 16)
