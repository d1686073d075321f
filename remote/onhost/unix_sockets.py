"""Unix sockets that listen: which they are, and how many connections may wait there. Standard library only.

Linux alone tells: /proc/net/unix has the socket of a path, and the kernel's sock_diag (linux/unix_diag.h) how
long its queue may be.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

ACCEPTS = 0x10000  # __SO_ACCEPTCON, of the flags in /proc/net/unix
TABLE = Path("/proc/net/unix")
# linux/netlink.h, linux/sock_diag.h and linux/unix_diag.h
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
SHOW_QUEUE = 0x10
QUEUE_ATTRIBUTE = 4
ANY_STATE = 0xFFFFFFFF
NO_COOKIE = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_QUESTION = struct.Struct("=BBHIIIII")  # family, protocol, pad, states, inode, show, cookie (two)
_SOCKET = struct.Struct("=BBBBIII")  # family, type, state, pad, inode, cookie (two)
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_QUEUE = struct.Struct("=II")  # of a socket that listens: how many wait, and how many may
PATIENCE_SECONDS = 1.0


def unix_listeners(path: str) -> Iterator[int]:
    """The inode of every socket that listens at the path."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(FileNotFoundError), TABLE.open() as table:
        next(table)
        for line in table:
            fields = line.split(None, 7)
            if len(fields) == 8 and fields[7].rstrip("\n") == path and int(fields[3], 16) & ACCEPTS:
                yield int(fields[6])


def backlog_of(inode: int) -> int | None:
    """How many connections may wait at a Unix socket that listens; None where the kernel doesn't tell."""
    if sys.platform != "linux":
        return None
    question = _QUESTION.pack(socket.AF_UNIX, 0, 0, ANY_STATE, inode, SHOW_QUEUE, NO_COOKIE, NO_COOKIE)
    header = _HEADER.pack(_HEADER.size + len(question), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(PATIENCE_SECONDS)
            kernel.sendto(header + question, (0, 0))
            return _queue_limit(kernel.recv(1 << 16), inode)
    except OSError:
        return None


def _queue_limit(answer: bytes, inode: int) -> int | None:
    """None for the kernel's refusal, and for an answer of another socket."""
    start = _HEADER.size
    if len(answer) < start + _SOCKET.size or _HEADER.unpack_from(answer)[1] != SOCK_DIAG_BY_FAMILY:
        return None
    if _SOCKET.unpack_from(answer, start)[4] != inode:
        return None
    place = start + _SOCKET.size
    while place + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, place)
        if length < _ATTRIBUTE.size:
            return None
        if kind == QUEUE_ATTRIBUTE:
            return int(_QUEUE.unpack_from(answer, place + _ATTRIBUTE.size)[1])
        place += (length + 3) & ~3
    return None
