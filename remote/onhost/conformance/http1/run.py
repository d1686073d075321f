"""Carries the probes out, many connections at a time, each probe on one of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from bench.wire.codec import WireError, decode_line
from bench.wire.conformance import (
    ConformanceFinding,
    ConformanceReport,
    RequestSeen,
    SeenRequests,
)
from bench.wire.proving import ProbeOrder
from remote.onhost.conformance.http1.answers import AnswersRead, answers_in
from remote.onhost.conformance.http1.judge import finding_of, judged
from remote.onhost.conformance.http1.probe import Http1Probe, ProbeOutcome
from remote.onhost.conformance.http1.rows import subjects
from remote.onhost.conformance.peer import CONTROL_SECONDS, RawPeer, ServerHung, connect, never
from remote.onhost.conformance.program import until_ready

SEEN_PATH = "/proving/seen"  # of testapp/proving/http1.py
AT_ONCE = 16
BETWEEN_BYTES_SECONDS = 0.001
HEAD_PLACE = frozenset({0})


def run(order: ProbeOrder) -> ConformanceReport:
    return asyncio.run(_run(order))


async def _run(order: ProbeOrder) -> ConformanceReport:
    runner = ProbeRunner(order)
    chosen = {probe.name: (probe, subject.title) for subject in subjects() for probe in subject.probes}
    try:
        await until_ready(order, runner.control)
        outcomes = await runner.outcomes({name: probe for name, (probe, _) in chosen.items()})
    except ServerHung as hung:
        return ConformanceReport(str(hung), ())
    return ConformanceReport("", tuple(findings_of(runner, chosen, outcomes)))


def findings_of(
    runner: ProbeRunner, chosen: Mapping[str, tuple[Http1Probe, str]], outcomes: Mapping[str, ProbeOutcome]
) -> list[ConformanceFinding]:
    found = []
    for name, (probe, subject) in chosen.items():
        twin = None
        if probe.twin != name:
            twin = judged(chosen[probe.twin][0], outcomes[probe.twin])
        found.append(finding_of(probe, subject, outcomes[name], twin, runner.bytes_of(probe.sent)))
    return found


class ProbeRunner:
    """Connections to one server. No two probes share a client port: what the app saw is kept by it."""

    def __init__(self, order: ProbeOrder) -> None:
        self._order = order
        address = f"[{order.address}]" if ":" in order.address else order.address
        self._host = f"{address}:{order.port}".encode()
        self._ports: set[int] = set()
        self._places = asyncio.Semaphore(AT_ONCE)

    def bytes_of(self, template: bytes) -> bytes:
        return template.replace(b"@HOST@", self._host)

    async def outcomes(self, chosen: Mapping[str, Http1Probe]) -> dict[str, ProbeOutcome]:
        """By name. Raises ServerHung."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {name: group.create_task(self._one(probe)) for name, probe in chosen.items()}
        except* ServerHung as hung:
            problem = str(hung.exceptions[0])
        except* OSError as refused:
            problem = str(refused.exceptions[0])
        else:
            problem = ""
        if problem:
            raise ServerHung(problem)
        return {name: task.result() for name, task in tasks.items()}

    async def _one(self, probe: Http1Probe) -> ProbeOutcome:
        async with self._places:
            peer = await self._connect()
            try:
                before = await self._exchange(peer, probe)
            finally:
                await peer.close()
            received = bytes(peer.received)
            answers = answers_in(received, bodiless=HEAD_PLACE if probe.answers_head else frozenset())
            return ProbeOutcome(received, answers, peer.end, await self._seen(peer.port), before)

    async def _exchange(self, peer: RawPeer, probe: Http1Probe) -> tuple[bytes, ...]:
        """What had come before each step but the first."""
        before: list[bytes] = []
        for place, step in enumerate(probe.steps):
            if place:
                had = len(before[-1]) if before else 0
                await peer.until_quiet(self.control, lambda received, had=had: len(received) > had)  # type: ignore[misc]
                before.append(bytes(peer.received))
            data = self.bytes_of(step)
            size = 1 if probe.byte_by_byte else len(data)
            for start in range(0, len(data), size):
                await peer.send(data[start : start + size])
                await asyncio.sleep(BETWEEN_BYTES_SECONDS if probe.byte_by_byte else 0)
        await peer.until_quiet(self.control, never)
        if probe.ends_sending:
            peer.end_sending()
            await peer.until_quiet(self.control, never)
        return tuple(before)

    async def _connect(self) -> RawPeer:
        while True:
            peer = await connect(self._order.address, self._order.port)
            if peer.port not in self._ports:
                self._ports.add(peer.port)
                return peer
            await peer.close()

    async def control(self) -> None:
        await self._ask(f"{SEEN_PATH}?0")

    async def _seen(self, port: int) -> tuple[RequestSeen, ...]:
        answer = await self._ask(f"{SEEN_PATH}?{port}")
        try:
            return decode_line(SeenRequests, answer).requests
        except WireError as error:
            raise ServerHung(f"its app doesn't say what it saw: {error}") from error

    async def _ask(self, target: str) -> bytes:
        """The body of one plain request's answer. Raises ServerHung."""
        peer = await connect(self._order.address, self._order.port)
        try:
            async with asyncio.timeout(CONTROL_SECONDS):
                request = f"GET {target} HTTP/1.1\r\nHost: @HOST@\r\n\r\n"
                await peer.send(self.bytes_of(request.encode()))
                await peer.until(lambda received: _is_whole(answers_in(received)))
        except TimeoutError:
            raise ServerHung(f"no answer to GET {target} within {CONTROL_SECONDS:g} s") from None
        finally:
            await peer.close()
        finals = answers_in(bytes(peer.received)).finals
        if not finals or finals[0].status != 200:
            raise ServerHung(f"GET {target} is answered with {bytes(peer.received[:80])!r}")
        return finals[0].body


def _is_whole(answers: AnswersRead) -> bool:
    return bool(answers.finals) and answers.finals[0].is_whole
