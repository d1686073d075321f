"""Probes one running server: a ProbeOrder on stdin, a ConformanceReport on stdout."""

from __future__ import annotations

import time
from pathlib import Path

from bench.wire.conformance import ConformanceFinding, ConformanceReport
from bench.wire.proving import ProbeOrder
from remote.onhost.conformance.asgi.exchange import AsgiPlace
from remote.onhost.conformance.asgi.lifespan import VARIANTS, Started, prove_lifespan
from remote.onhost.conformance.asgi.probe import control_problem
from remote.onhost.conformance.asgi.suite import chosen, is_running, run_suite
from remote.onhost.conformance.program import main

RETRY_SECONDS = 0.02
HTTP, WEBSOCKET, LIFESPAN = "asgi", "asgi-websocket", "asgi-lifespan:"
"""How a server was started: for HTTP, for WebSocket, or with one way of the lifespan, whose name follows."""


def run(order: ProbeOrder) -> ConformanceReport:
    place = AsgiPlace(order.address, order.port, Path(order.witness))
    launch = order.launches[0]
    if launch.startswith(LIFESPAN):
        variant = launch.removeprefix(LIFESPAN)
        if variant not in VARIANTS:
            return ConformanceReport(f"there is no lifespan {variant!r}", ())
        return ConformanceReport("", prove_lifespan(variant, Started(place, order.pid, Path(order.log))))
    problem = _why_not_ready(order, place)
    if problem:
        return ConformanceReport(problem, ())
    probes = tuple(one for one in chosen(order.only) if (one.subject == "WebSocket") == (launch == WEBSOCKET))
    found, problem = run_suite(probes, place, order.pid, one_by_one=bool(order.only))
    missing = {one.name for one in probes} - {one.probe for one in found}
    return ConformanceReport(problem, (*found, *(_not_run(name) for name in sorted(missing))))


def _not_run(name: str) -> ConformanceFinding:
    """Of a probe that the server did not live to see: the driver starts another for it."""
    (probe,) = chosen((name,))
    return ConformanceFinding(
        suite="asgi",
        probe=name,
        subject=probe.subject,
        title=probe.title,
        rule=probe.rule,
        level=probe.level,
        judgement="untested",
        why="the server had ended before",
        sent="",
        received="",
        app_saw="",
    )


def _why_not_ready(order: ProbeOrder, place: AsgiPlace) -> str:
    deadline = time.monotonic() + order.ready_seconds
    while (problem := control_problem(place)) and time.monotonic() < deadline:
        if not is_running(order.pid):
            return f"the server has ended: {problem}"
        time.sleep(RETRY_SECONDS)
    return problem


if __name__ == "__main__":
    main(run)
