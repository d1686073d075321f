"""Slow and dead clients: what was measured of each server, and what that amounts to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from bench.results.pairs import PairRatio, ratio_over_blocks
from bench.wire.slow_clients import (
    HalfClose,
    HeldConnections,
    Meanwhile,
    SlicePair,
    SlowReport,
    StoppedFlow,
    TreeMemory,
)

SLOW_CLIENTS = "slow_clients"
"""The kind's name."""

SlowVerdict = Literal[
    "closes", "keeps", "bounded", "unbounded", "answers", "drops", "serves", "starves", "untested"
]
"""``closes``, ``keeps``: whether the server lets go of connections that do nothing. ``bounded``,
``unbounded``: how far one end runs ahead of the other. ``answers``, ``drops``: whether a client that has
half-closed gets its answer. ``serves``, ``starves``: whether new connections are answered meanwhile."""

WEAK_VERDICTS: tuple[SlowVerdict, ...] = ("keeps", "unbounded", "drops", "starves", "untested")

TITLES = {
    "idle": "Idle connections",
    "silent": "Connections that send nothing",
    "slowloris": "A byte of a header now and then",
    "stopped-writer": "A request’s body that stops",
    "stopped-reader": "Readers that stop, of 430 kB each",
    "endless-answer": "A reader that stops, of an endless answer",
    "vanished-reader": "A reader that vanishes, of an endless answer",
    "endless-upload": "An endless request that the app does not read",
    "half-closed": "Half-closed connections",
}
"""By probe, in the order in which they are told."""

KEPT_BYTES = 64 * 1024 * 1024
"""What an end that stops in time may have run ahead by: several times what a system holds itself."""


class SlowFinding(msgspec.Struct, frozen=True):
    """One probe of one server. ``measured`` is all that was read; the rest follows from it."""

    verdict: SlowVerdict
    reason: str  # for readers, without a full stop
    measured: SlowReport
    ratio: PairRatio | None = None  # of throughput beside idle connections over that without


SlowFindings = dict[str, SlowFinding]
"""By probe: what is kept of each server."""


def judged(report: SlowReport) -> SlowFinding:
    """Raises LookupError for a probe that there is none of."""
    if report.problem:
        return SlowFinding("untested", report.problem, report)
    verdict, reason = _JUDGES[report.probe](report)
    return SlowFinding(verdict, reason, report, ratio_of_pairs(report.pairs))


def unproven(probe: str, reason: str) -> SlowFinding:
    """Of a probe that could not be made."""
    return SlowFinding("untested", reason, SlowReport(probe, reason))


def ratio_of_pairs(pairs: tuple[SlicePair, ...]) -> PairRatio | None:
    """Throughput beside over without, by pairs of neighbouring slices; None where there are none."""
    known = [pair for pair in pairs if pair.beside > 0 and pair.without > 0]
    if not known:
        return None
    return ratio_over_blocks(
        {place: math.log(pair.beside) for place, pair in enumerate(known)},
        {place: math.log(pair.without) for place, pair in enumerate(known)},
    )


def growth_per_connection(before: TreeMemory, after: TreeMemory, connections: int) -> int | None:
    """In bytes: of PSS where it is known, else of RSS; None without connections."""
    if connections == 0:
        return None
    if before.pss_bytes is not None and after.pss_bytes is not None:
        return round((after.pss_bytes - before.pss_bytes) / connections)
    return round((after.rss_bytes - before.rss_bytes) / connections)


def memory_per_connection(finding: SlowFinding) -> int | None:
    """In bytes; None where the probe does not tell."""
    held, flow = finding.measured.held, finding.measured.flow
    if held is not None:
        return growth_per_connection(held.before, held.after, held.opened)
    if flow is not None and flow.connections > 1:
        return growth_per_connection(flow.before, flow.after, flow.connections)
    return None


def _held(report: SlowReport) -> HeldConnections:
    assert report.held is not None
    return report.held


def _flow(report: SlowReport) -> StoppedFlow:
    assert report.flow is not None
    return report.flow


def _starves(meanwhile: Meanwhile) -> str:
    """Words where new connections were not served, else "" ."""
    if meanwhile.answered == meanwhile.asked:
        return ""
    return f"{meanwhile.asked - meanwhile.answered} of {meanwhile.asked} new connections were not answered"


def _waiting(report: SlowReport) -> tuple[SlowVerdict, str]:
    held = _held(report)
    if held.opened == 0:
        return "untested", f"no connection could be opened: {held.limit}"
    starved = _starves(held.meanwhile)
    kept = held.opened - held.closed
    told = f"; {starved}" if starved else ""
    told += f"; {held.limit}" if held.limit else ""
    if kept == 0:
        answered = f" with status {held.answered_status}" if held.answered_status else ""
        first, last = held.first_closed_seconds or 0.0, held.last_closed_seconds or 0.0
        when = f"{first:.0f} to {last:.0f} s after they were opened"
        return "starves" if starved else "closes", f"all {held.opened:,} are closed{answered}, {when}{told}"
    early = f": {held.stopped_early}" if held.stopped_early else ""
    return "starves" if starved else "keeps", (
        f"{kept:,} of {held.opened:,} are still open after {held.watched_seconds:.0f} s{early}{told}"
    )


def _idle(report: SlowReport) -> tuple[SlowVerdict, str]:
    held = _held(report)
    if held.opened == 0:
        return "untested", f"no connection could be opened: {held.limit}"
    fewer = f" ({held.asked:,} were asked for: {held.limit})" if held.opened < held.asked else ""
    starved = _starves(held.meanwhile)
    if starved:
        return "starves", f"beside {held.opened:,} idle connections{fewer} {starved}"
    slowest = held.meanwhile.slowest_seconds or 0.0
    return "serves", (
        f"beside {held.opened:,} idle connections{fewer} new ones are answered, the slowest after "
        f"{slowest * 1000:.0f} ms"
    )


def _running_ahead(what: str) -> Callable[[SlowReport], tuple[SlowVerdict, str]]:
    """``what`` ran ahead, for a reader."""

    def judge(report: SlowReport) -> tuple[SlowVerdict, str]:
        flow = _flow(report)
        grown = max(0, flow.peak_rss_bytes - flow.before.rss_bytes)
        told = f"{what} {flow.ahead_bytes / 1e6:,.1f} MB ahead, and memory grew by {grown / 1e6:,.1f} MB"
        starved = _starves(flow.meanwhile)
        told += f"; {starved}" if starved else ""
        if flow.reached_cap or flow.still_growing or flow.ahead_bytes > KEPT_BYTES:
            end = "until it was stopped" if flow.reached_cap else f"and goes on after {flow.seconds:.0f} s"
            return "unbounded", f"{told}, {end}"
        return "starves" if starved else "bounded", told

    return judge


def _vanished(report: SlowReport) -> tuple[SlowVerdict, str]:
    flow = _flow(report)
    grown = max(0, flow.peak_rss_bytes - flow.before.rss_bytes)
    told = (
        f"the app sent {flow.ahead_bytes / 1e6:,.1f} MB for nobody, and memory grew by {grown / 1e6:,.1f} MB"
    )
    if grown > KEPT_BYTES or (flow.still_growing and not flow.reached_cap):
        return "unbounded", told
    if flow.reached_cap:
        return "bounded", f"{told}: it is dropped, and nothing stops the app"
    return "bounded", told


def _stopped_readers(report: SlowReport) -> tuple[SlowVerdict, str]:
    flow = _flow(report)
    each = growth_per_connection(flow.before, flow.after, flow.connections)
    answer_bytes = flow.ahead_bytes / flow.connections if flow.connections else 0.0
    told = f"{flow.connections:,} readers, {(each or 0) / 1e3:,.1f} kB of memory each"
    starved = _starves(flow.meanwhile)
    if starved:
        return "starves", f"{told}; {starved}"
    if flow.reached_cap or (each is not None and each > 2 * answer_bytes):
        return "unbounded", f"{told}: more than twice the answer"
    return "bounded", told


def _half_closed(report: SlowReport) -> tuple[SlowVerdict, str]:
    told = "; ".join(f"{one.case}: {_of_case(one)}" for one in report.half_closed)
    behind = [one for one in report.half_closed if one.case.startswith("behind")]
    return "answers" if all(one.is_whole and one.status == 200 for one in behind) else "drops", told


def _of_case(one: HalfClose) -> str:
    if one.is_whole:
        return f"answered {one.status}"
    return f"closed after {one.seconds:.1f} s" if one.closed else f"still open after {one.seconds:.0f} s"


_JUDGES: Mapping[str, Callable[[SlowReport], tuple[SlowVerdict, str]]] = {
    "idle": _idle,
    "silent": _waiting,
    "slowloris": _waiting,
    "stopped-writer": _waiting,
    "stopped-reader": _stopped_readers,
    "endless-answer": _running_ahead("send() ran"),
    "vanished-reader": _vanished,
    "endless-upload": _running_ahead("the client got"),
    "half-closed": _half_closed,
}


def slow_json(findings: Mapping[str, SlowFindings]) -> dict[str, dict[str, dict[str, object]]]:
    """For --json: {server: {probe: verdict, reason, what follows from the figures, and these}}."""
    return {
        server: {
            probe: {
                "verdict": one.verdict,
                "reason": one.reason,
                "memory_per_connection_bytes": memory_per_connection(one),
                "throughput_ratio": one.ratio,
                "measured": one.measured,
            }
            for probe, one in found.items()
        }
        for server, found in findings.items()
    }
