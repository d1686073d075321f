"""Carries the probes out, many connections at a time, each probe on one of its own, over TCP or TLS."""

from __future__ import annotations

import asyncio
import struct

from hpack import Decoder, HPACKError

from bench.wire.codec import WireError, decode_line
from bench.wire.conformance import ConformanceFinding, ConformanceReport, RequestSeen, SeenRequests
from bench.wire.proving import ProbeOrder
from remote.onhost.conformance.h2.frames import (
    ACK,
    DATA,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    SETTINGS,
    H2Frame,
    frame,
    frames_in,
    headers,
    settings,
    usual,
)
from remote.onhost.conformance.h2.judge import MARK, finding_of, judged
from remote.onhost.conformance.h2.probe import H2Outcome, H2Probe
from remote.onhost.conformance.h2.rows import h2_subjects
from remote.onhost.conformance.peer import CONTROL_SECONDS, RawPeer, ServerHung, connect, never, tls_context
from remote.onhost.conformance.program import until_ready

SEEN_PATH = "/proving/seen"  # of testapp/proving/http1.py
AT_ONCE = 12
CONTROL_PROBE = "get"


def run(order: ProbeOrder) -> ConformanceReport:
    return asyncio.run(_run(order))


async def _run(order: ProbeOrder) -> ConformanceReport:
    runner = H2Runner(order)
    chosen = [(probe, subject.title) for subject in h2_subjects() for probe in subject.probes]
    try:
        await until_ready(order, runner.control)
        outcomes = await asyncio.gather(*(runner.outcome(probe) for probe, _ in chosen))
    except (ServerHung, OSError) as error:
        return ConformanceReport(f"{error}", ())
    control = next(
        judged(probe, outcome)
        for (probe, _), outcome in zip(chosen, outcomes, strict=True)
        if probe.name == CONTROL_PROBE
    )
    findings: list[ConformanceFinding] = [
        finding_of(probe, subject, outcome, control, over="tls" if order.tls else "tcp")
        for (probe, subject), outcome in zip(chosen, outcomes, strict=True)
    ]
    return ConformanceReport("", tuple(findings))


class H2Runner:
    """Connections to one server. No two probes share a client port: what the app saw is kept by it."""

    def __init__(self, order: ProbeOrder) -> None:
        self._order = order
        self._context = tls_context(order.certificate, "h2") if order.tls else None
        self._ports: set[int] = set()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def outcome(self, probe: H2Probe) -> H2Outcome:
        """Raises ServerHung and OSError."""
        async with self._places:
            peer = await self._connect()
            try:
                if not probe.raw:
                    await peer.send(PREFACE + settings())
                    await _until_settings(peer)
                    await peer.send(settings(flags=ACK))
                await peer.send(probe.sent + frame(PING, MARK))
                await peer.until_quiet(self.control, never)
            finally:
                await peer.close()
            return _outcome(bytes(peer.received), peer.end, await self._seen(peer.port))

    async def _connect(self) -> RawPeer:
        while True:
            peer = await connect(self._order.address, self._order.port, self._context)
            if peer.port not in self._ports:
                self._ports.add(peer.port)
                return peer
            await peer.close()

    async def control(self) -> None:
        await self._ask(f"{SEEN_PATH}?0")

    async def _seen(self, port: int) -> tuple[RequestSeen, ...]:
        try:
            return decode_line(SeenRequests, await self._ask(f"{SEEN_PATH}?{port}")).requests
        except WireError as error:
            raise ServerHung(f"its app doesn't say what it saw: {error}") from error

    async def _ask(self, path: str) -> bytes:
        """The body of one plain request's answer over HTTP/2. Raises ServerHung and OSError."""
        peer = await connect(self._order.address, self._order.port, self._context)
        scheme = "https" if self._order.tls else "http"
        try:
            async with asyncio.timeout(CONTROL_SECONDS):
                await peer.send(
                    PREFACE + settings() + settings(flags=ACK) + headers(usual(path, scheme=scheme))
                )
                await peer.until(lambda received: any(map(_ends, frames_in(received))))
        except TimeoutError:
            raise ServerHung(f"no answer over HTTP/2 within {CONTROL_SECONDS:g} s") from None
        finally:
            await peer.close()
        found = _outcome(bytes(peer.received), peer.end, ())
        if found.statuses.get(1) != 200:
            raise ServerHung(f"a plain request over HTTP/2 is answered with {bytes(peer.received[:60])!r}")
        return b"".join(one.payload for one in found.of(DATA) if one.stream == 1)


async def _until_settings(peer: RawPeer) -> None:
    """Its first frame, or the end. Raises ServerHung."""
    try:
        async with asyncio.timeout(CONTROL_SECONDS):
            await peer.until(lambda received: any(one.kind == SETTINGS for one in frames_in(received)))
    except TimeoutError:
        raise ServerHung(f"no SETTINGS within {CONTROL_SECONDS:g} s") from None


def _ends(one: H2Frame) -> bool:
    return one.kind in (DATA, HEADERS) and bool(one.flags & END_STREAM) and one.stream == 1


def _outcome(received: bytes, end: str, seen: tuple[RequestSeen, ...]) -> H2Outcome:
    frames = frames_in(received)
    decoder = Decoder()
    statuses: dict[int, int] = {}
    for one in frames:
        if one.kind == HEADERS:
            status = _status(decoder, one)
            if status is not None and status >= 200:
                statuses.setdefault(one.stream, status)
    return H2Outcome(
        frames=frames,
        statuses=statuses,
        ended_streams=frozenset(
            one.stream for one in frames if one.kind in (DATA, HEADERS) and one.flags & END_STREAM
        ),
        marks=tuple(one.payload for one in frames if one.kind == PING and one.flags & ACK),
        end=end,
        seen=seen,
        received=received,
    )


def _status(decoder: Decoder, one: H2Frame) -> int | None:
    payload = one.payload
    if one.flags & 0x8:
        payload = payload[1 : len(payload) - payload[0]]
    if one.flags & 0x20:
        payload = payload[struct.calcsize(">IB") :]
    try:
        named = {bytes(name): bytes(value) for name, value in decoder.decode(payload, raw=True)}
        return int(named[b":status"])
    except (HPACKError, KeyError, ValueError):
        return None
