"""One probe on one running server: a SlowOrder on standard input, a SlowReport on stdout."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import psutil

from bench.wire.codec import decode_line, encode_line
from bench.wire.slow_clients import SlowOrder, SlowReport
from remote.onhost.agent.refusal import RequestRefused
from remote.onhost.slow_clients.crowd import NotServed, await_ready
from remote.onhost.slow_clients.probes import probe_named
from remote.onhost.slow_clients.tree import server_tree

SHARE_OF_MEMORY = 8
"""What a server may grow by is at most this part of what is free on its host."""


def report_of(order: SlowOrder) -> SlowReport:
    free_bytes = psutil.virtual_memory().available
    order = replace(order, cap_bytes=min(order.cap_bytes, free_bytes // SHARE_OF_MEMORY))
    problem = await_ready(order)
    if problem:
        return SlowReport(order.probe, f"the server did not become ready: {problem}")
    try:
        with server_tree(order.pid) as tree:
            return probe_named(order.probe)(order, tree)
    except (OSError, NotServed, RequestRefused) as error:
        return SlowReport(order.probe, f"{type(error).__name__}: {error}")


def main() -> int:
    sys.stdout.write(encode_line(report_of(decode_line(SlowOrder, sys.stdin.read()))).decode())
    sys.stdout.flush()
    # A thread that still waits for the server must not keep it from being stopped.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
