"""Probes one running server: a ProbeOrder on standard input, a ProbeReport on stdout."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from bench.wire.codec import decode_line, encode_line
from bench.wire.proving import KnownFeature, ProbeFinding, ProbeOrder, ProbeReport
from remote.onhost.features.probe import Feature, broken
from remote.onhost.features.probes import all_features
from remote.onhost.proving.ready import why_not_ready

AT_ONCE = 6
REASON_CHARACTERS = 300


def probe_all(order: ProbeOrder) -> ProbeReport:
    features = all_features()
    known = tuple(KnownFeature(one.name, one.title, one.reference, one.launches) for one in features)
    problem = why_not_ready(order)
    if problem:
        return ProbeReport(problem, (), known)
    # Of several launches that are this one start, the first that a feature is probed in.
    wanted = [
        (feature, launches[0])
        for feature in features
        if (launches := [one for one in order.launches if feature.is_for(one, order.available)])
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = tuple(pool.map(lambda one: finding(order, *one), wanted))
    return ProbeReport("", found, known)


def finding(order: ProbeOrder, feature: Feature, launch: str) -> ProbeFinding:
    """Whatever a probe raises leaves its feature untested, and says why."""
    try:
        found = feature.probe(order)
    except Exception as error:
        found = broken(f"the probe failed: {type(error).__name__}: {error}")
    reason = " ".join(found.reason.split())
    if len(reason) > REASON_CHARACTERS:
        reason = f"{reason[:REASON_CHARACTERS]}…"
    return ProbeFinding(
        feature.name, feature.title, feature.reference, launch, found.verdict, reason, found.evidence
    )


def main() -> int:
    report = probe_all(decode_line(ProbeOrder, sys.stdin.read()))
    sys.stdout.write(encode_line(report).decode())
    sys.stdout.flush()
    # A probe that hangs in a library must not keep the server from being stopped.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
