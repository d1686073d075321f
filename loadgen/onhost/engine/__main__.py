"""The engine's process. Standard library and bench/wire only.

Contract: ``python -m loadgen.onhost.engine --control-fd N [--parent PID]``, where N is one end of a stream
socketpair. The messages are those of bench/wire/engine.py. The process ends when the other end closes
(status 0), and on Linux with its parent.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import signal
import socket
import sys

from loadgen.onhost.engine.engine import Engine
from loadgen.onhost.engine.poll import make_poller
from loadgen.onhost.engine.protocols import PROTOCOLS


def _die_with(parent: int) -> None:
    """Where the kernel can (Linux), it ends us with our parent; else the closed channel must do."""
    if sys.platform == "linux":
        pr_set_pdeathsig, pr_set_timerslack = 1, 29
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(pr_set_pdeathsig, signal.SIGKILL)
        libc.prctl(pr_set_timerslack, 1)
    if parent and os.getppid() != parent:
        sys.exit(0)


def parse_arguments(arguments: list[str] | None) -> int:
    """The channel's file descriptor, of a process that ends with its parent from now on, and by no signal."""
    parser = argparse.ArgumentParser(description="The load engine; started by a load worker")
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, default=0, help="end at once if this is no longer the parent")
    options = parser.parse_args(arguments)
    _die_with(options.parent)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end comes with the channel's, after the last slice
    return int(options.control_fd)


def main(arguments: list[str] | None = None) -> None:
    control_fd = parse_arguments(arguments)
    gc.collect()
    gc.freeze()
    gc.disable()  # collected once a slice instead, when there is time
    Engine(socket.socket(fileno=control_fd), make_poller(), PROTOCOLS).serve()


if __name__ == "__main__":
    main()
