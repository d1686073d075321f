"""What the programs of all suites do: wait for the server, probe it, print what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable

from bench.wire.codec import decode_line, encode_line
from bench.wire.conformance import ConformanceReport
from bench.wire.proving import ProbeOrder
from remote.onhost.conformance.peer import ServerHung

RETRY_SECONDS = 0.02


def main(run: Callable[[ProbeOrder], ConformanceReport]) -> None:
    """A ProbeOrder on stdin, a ConformanceReport on stdout."""
    report = run(decode_line(ProbeOrder, sys.stdin.buffer.read()))
    sys.stdout.buffer.write(encode_line(report))


async def until_ready(order: ProbeOrder, control: Callable[[], Awaitable[None]]) -> None:
    """Until a plain request is answered. Raises ServerHung once the order's time is over."""
    deadline = time.monotonic() + order.ready_seconds
    while True:
        try:
            with contextlib.suppress(OSError):
                await control()
                return
        except ServerHung:
            if time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            raise ServerHung(f"nothing has answered within {order.ready_seconds:g} s")
        await asyncio.sleep(RETRY_SECONDS)
