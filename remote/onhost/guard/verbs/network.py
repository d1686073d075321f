"""port, tell."""

from __future__ import annotations

import errno
import os
import socket

from bench.wire.guard import CheckPort, PortState, ProcessTold, TellProcess
from remote.onhost.guard.guard import Guard
from remote.onhost.guard.refused import Refused
from remote.onhost.guard.reply import Reply

ANSWER_SECONDS = 1


def port(guard: Guard, request: CheckPort, reply: Reply) -> None:
    family = socket.AF_INET6 if ":" in request.address else socket.AF_INET
    number, failure = request.port, None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do, so that connections of an earlier run in TIME_WAIT don't count; a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((request.address, request.port))
            number = probe.getsockname()[1]
        except OSError as error:
            failure = error
    answered = False
    if not request.bind_only and failure is None:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(ANSWER_SECONDS)
            answered = probe.connect_ex((request.address, number)) == 0
    name = "" if failure is None else errno.errorcode.get(failure.errno or 0, "OSError")
    reply(PortState(number, name, "" if failure is None else failure.strerror or str(failure), answered))


def tell(guard: Guard, request: TellProcess, reply: Reply) -> None:
    path = guard.inside(request.socket)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as process:
        process.settimeout(request.patience_seconds)
        # Relative to the guard's own folder, where it runs: absolute paths may be too long for a socket.
        process.connect(os.path.relpath(path, guard.folder.resolve()))
        process.sendall(request.line.encode() + b"\n")
        received = b""
        while not received.endswith(b"\n"):
            chunk = process.recv(1 << 16)
            if not chunk:
                raise Refused("closed", f"{path.name}: the connection ended before an answer")
            received += chunk
    reply(ProcessTold(received.decode().rstrip("\n")))
