"""The guard: starts every process of ours on one host, and stops them all when its lease is not renewed.

It comes over the connection's standard input (remote/onhost/bootstrap/receive.py), because it must be there
before anything else is. What it reads and writes there is described in bench/wire/attach.py and guard.py: the
relay passes it on to the guard's unix socket (W/guard/sock, in a folder that only its owner can open).

Each process has a session of its own and is recorded in W/guard/processes.json with its start time; stopping
goes by that record and by kinship, never by name. Where Linux allows, the guard adopts orphans of its
processes (PR_SET_CHILD_SUBREAPER) and they die with it (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import errno
import os
import sys

from bench.wire.attach import AttachOrder, NotAttached
from bench.wire.codec import decode_line, encode_line
from remote.onhost.guard.attach import attach
from remote.onhost.guard.refused import Refused


def main(arguments: list[str]) -> int:
    """1 where no guard could be joined or started; the one line on stdout says why."""
    try:
        attach(decode_line(AttachOrder, _first_line()))
        return 0
    except Refused as refused:
        failure = NotAttached(refused.kind, str(refused))
    except OSError as error:
        failure = NotAttached(errno.errorcode.get(error.errno or 0, "failed"), str(error))
    except RuntimeError as error:
        failure = NotAttached("failed", str(error))
    os.write(1, encode_line(failure, event="not_attached"))
    return 1


def _first_line() -> bytes:
    """Byte by byte: what comes behind it is the relay's."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            raise RuntimeError("standard input ended before the order")
        line += byte
    return line


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
