"""How the server process is set up, as seen from within it. Shipped; standard library only.

Flat on purpose: names to text, numbers, booleans or None (not to be seen here).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import shlex
import socket
import stat
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from testapp.behind import class_name, look_behind

Value = str | int | bool | None

# What the app itself brings along, whatever server runs it.
APP_PACKAGES = ("starlette", "asyncpg", "anyio", "idna", "sniffio", "typing_extensions")
# Of Linux's struct tcp_info, in which a listening socket has the length of its queue as tcpi_sacked.
TCP_INFO_BYTES = 32
TCP_INFO_SACKED = 28
SOMAXCONN = Path("/proc/sys/net/core/somaxconn")


def describe_process(scope: Mapping[str, Any], receive: object) -> dict[str, Value]:
    """What answers the request of ``scope``.

    ``receiver`` is the class whose method the server passed as ``receive``: with uvicorn, that of the parser.
    ``parts`` are the packages of the environment that the process has imported, without the app's own.
    ``tcp_nodelay`` is that of the connection which brought the request. ``parser`` and ``keep_alive_seconds``
    are those of the object that reads that connection, ``backlog`` is the kernel's of the listening socket,
    and ``backlog_limit`` what the system allows.
    """
    asgi = scope.get("asgi", {})
    behind = look_behind(receive)
    access_log = _access_log()
    return {
        "pid": os.getpid(),
        "parent_pid": os.getppid(),
        "command": shlex.join(sys.argv),
        "python_version": ".".join(map(str, sys.version_info[:3])),
        "python_implementation": sys.implementation.name,
        "loop": _loop_class(),
        "loop_debug": _loop_debug(),
        "reactor": _reactor_class(),
        "receiver": class_name(type(getattr(receive, "__self__", receive))),
        "parser": behind.parser,
        "keep_alive_seconds": _whole(behind.keep_alive_seconds),
        "parts": " ".join(_parts()),
        "scheme": scope.get("scheme"),
        "http_version": scope.get("http_version"),
        "asgi_version": asgi.get("version"),
        "asgi_spec_version": asgi.get("spec_version"),
        "access_log": behind.access_log if access_log is None else access_log,
        "tcp_nodelay": _tcp_nodelay(scope.get("client")),
        "backlog": _backlog(scope.get("server")),
        "backlog_limit": _backlog_limit(),
        "gc_enabled": gc.isenabled(),
    }


def _loop_class() -> str:
    try:
        return class_name(type(asyncio.get_running_loop()))
    except RuntimeError:
        return "trio" if "trio" in sys.modules else "unknown"


def _loop_debug() -> bool | None:
    try:
        return asyncio.get_running_loop().get_debug()
    except RuntimeError:
        return None


def _reactor_class() -> str | None:
    """Of Twisted, where the process uses it."""
    reactor = sys.modules.get("twisted.internet.reactor")
    return None if reactor is None else class_name(type(reactor))


def _whole(seconds: float | None) -> Value:
    """Flat values have no fractions: what isn't whole becomes text."""
    if seconds is None:
        return None
    return int(seconds) if seconds == int(seconds) else str(seconds)


def _parts() -> list[str]:
    return sorted(
        name
        for name, module in sys.modules.copy().items()
        if not name.startswith("_")
        and "." not in name
        and "site-packages" in (getattr(module, "__file__", None) or "")
        and name not in APP_PACKAGES
    )


def _access_log() -> bool | None:
    """Whether a request is logged by the logger that ``ASGIBENCH_ACCESS_LOGGER`` names; None without one."""
    name = os.environ.get("ASGIBENCH_ACCESS_LOGGER")
    if not name:
        return None
    logger = logging.getLogger(name)
    return logger.hasHandlers() and logger.isEnabledFor(logging.INFO)


def _tcp_nodelay(client: object) -> bool | None:
    """Of this process's socket that is connected to ``client``; None where there is none to be found."""
    port = _port_of(client)
    if not isinstance(client, (tuple, list)) or port is None:
        return None
    peer = client[0], port
    for connection in _own_sockets():
        with contextlib.closing(connection):
            try:
                if connection.getpeername()[:2] == peer:
                    return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            except OSError:  # it listens, or has no peer any more
                continue
    return None


def _port_of(address: object) -> int | None:
    """Of a scope's client or server; None over a Unix socket, of which servers say several things.

    uvicorn has (path, None) there, and gunicorn the path's first two letters. granian says ports as text.
    """
    if isinstance(address, (tuple, list)) and len(address) == 2 and str(address[1]).isdecimal():
        return int(address[1])
    return None


def _backlog(server: object) -> int | None:
    """How many connections may wait at this process's socket that listens at ``server``'s port.

    As the kernel has it; None where the system doesn't tell, or another process holds the socket. Where
    several listen, the least.
    """
    port = _port_of(server)
    if sys.platform != "linux" or port is None:
        return None
    found = []
    for listening in _own_sockets():
        with contextlib.closing(listening), contextlib.suppress(OSError):  # it is no socket of TCP
            if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                continue
            if listening.getsockname()[1] == port:
                info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
                found.append(struct.unpack_from("=I", info, TCP_INFO_SACKED)[0])
    return min(found, default=None)


def _backlog_limit() -> int | None:
    """net.core.somaxconn of this process's network; None where the system has none."""
    try:
        return int(SOMAXCONN.read_text())
    except (OSError, ValueError):
        return None


def _own_sockets() -> Iterator[socket.socket]:
    for entry in _descriptor_folder().iterdir():
        descriptor = int(entry.name)
        with contextlib.suppress(OSError):  # closed by now: the one that listed the folder, for one
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                yield socket.socket(fileno=os.dup(descriptor))


def _descriptor_folder() -> Path:
    linux = Path("/proc/self/fd")
    return linux if linux.is_dir() else Path("/dev/fd")
