"""The whole suite on one running server, or what is asked of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.wire.conformance import ConformanceFinding
from remote.onhost.conformance.asgi.exchange import AsgiPlace
from remote.onhost.conformance.asgi.probe import AsgiProbe, run_probe
from remote.onhost.conformance.asgi.probes import all_probes

AT_ONCE = 8
AGAIN_AT_ONCE = 3
RISKY = ("Invalid events",)
"""Subjects of which a server was seen to end: one probe at a time, and they come last."""
SETTLED = ("conforms", "allowed")


def chosen(only: Sequence[str], subjects: Iterable[str] | None = None) -> tuple[AsgiProbe, ...]:
    """Those of these names; all of them, if there are none. WebSocket's own, or the others."""
    wanted = [one for one in all_probes() if not only or one.name in only]
    return tuple(one for one in wanted if subjects is None or one.subject in subjects)


def run_suite(
    probes: Sequence[AsgiProbe], place: AsgiPlace, pid: int, *, one_by_one: bool
) -> tuple[tuple[ConformanceFinding, ...], str]:
    """What was found, and "" or why the rest was not probed: the server has ended.

    Several at once, unless ``one_by_one``. Where one violates or is weak, it is run again with few beside it,
    and the second outcome counts: a busy host makes a server slow, not wrong.
    """
    risky = [one for one in probes if one_by_one or one.subject in RISKY]
    safe = [one for one in probes if one not in risky]
    found = list(_several(safe, place, AT_ONCE))
    if not is_running(pid):
        return (), "the server ended while several probes ran at once"
    again = [one for one, first in zip(safe, found, strict=True) if first.judgement not in SETTLED]
    second = {one.probe: one for one in _several(again, place, AGAIN_AT_ONCE)}
    found = [second.get(one.probe, one) for one in found]
    for probe in risky:
        found.append(run_probe(probe, place))
        if not is_running(pid):
            return tuple(found), f"the server ended behind {probe.name}"
    return tuple(found), ""


def _several(probes: Sequence[AsgiProbe], place: AsgiPlace, at_once: int) -> tuple[ConformanceFinding, ...]:
    with ThreadPoolExecutor(at_once) as pool:
        return tuple(pool.map(lambda one: run_probe(one, place), probes))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
