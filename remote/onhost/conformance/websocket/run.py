"""Carries out Autobahn's cases against one server, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from kosoku import FailureError, run_fuzzingclient

from bench.wire.conformance import ConformanceReport
from bench.wire.proving import ProbeOrder
from remote.onhost.conformance.peer import CONTROL_SECONDS, ServerHung, connect
from remote.onhost.conformance.program import until_ready
from remote.onhost.conformance.websocket.judge import CaseOutcome, case_finding

AT_ONCE = 8
CASES = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*", "12.1.1", "12.2.1", "13.1.1")
"""Not the 9.*, which measure time, and of compression one for each kind of message and of parameters: the
others send the same in other sizes."""
WHOLE_SECONDS = 150.0
SHOWN_EVENTS = 200


def run(order: ProbeOrder) -> ConformanceReport:
    return asyncio.run(_run(order))


async def _run(order: ProbeOrder) -> ConformanceReport:
    address = f"[{order.address}]" if ":" in order.address else order.address
    try:
        await until_ready(order, lambda: _control(order))
        async with asyncio.timeout(WHOLE_SECONDS):
            cases = await _cases(f"ws://{address}:{order.port}/")
    except ServerHung as hung:
        return ConformanceReport(str(hung), ())
    except TimeoutError:
        return ConformanceReport(f"the cases did not end within {WHOLE_SECONDS:g} s", ())
    return ConformanceReport("", tuple(case_finding(one) for one in cases))


async def _cases(url: str) -> list[CaseOutcome]:
    try:
        results = await run_fuzzingclient(url, CASES, None, AT_ONCE)
    except FailureError as failure:
        results = failure.results
    return [
        CaseOutcome(
            number=one.case_id,
            description=one.description,
            messages=one.behavior.value,
            closing=one.behavior_close.value,
            result=one.result,
            result_of_closing=one.result_close,
            sent=_octets(one.wirelog, "TO"),
            received=_octets(one.wirelog, "RO"),
            app_had=str(one.received)[:SHOWN_EVENTS],
        )
        for one in results
    ]


def _octets(log: Iterable[object], direction: str) -> bytes:
    """What went in one direction, from the log of the wire: ``(direction, (count, hex), ...)``.

    Autobahn keeps the first bytes of long ones alone, and marks that with dots.
    """
    found = b""
    for entry in log:
        if isinstance(entry, tuple) and entry[0] == direction:
            found += bytes.fromhex(str(entry[1][1]).partition(".")[0])
    return found


async def _control(order: ProbeOrder) -> None:
    """One plain request on a connection of its own. Raises ServerHung and OSError."""
    peer = await connect(order.address, order.port)
    try:
        async with asyncio.timeout(CONTROL_SECONDS):
            await peer.send(f"GET / HTTP/1.1\r\nHost: {order.address}\r\n\r\n".encode())
            await peer.until(lambda received: b"\r\n\r\n" in received)
    except TimeoutError:
        raise ServerHung(f"no answer within {CONTROL_SECONDS:g} s") from None
    finally:
        await peer.close()
    if not peer.received.startswith(b"HTTP/1.1 200"):
        raise ServerHung(f"a plain request is answered with {bytes(peer.received[:80])!r}")
