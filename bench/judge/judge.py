"""What held a run back, and whether the run says anything about its server.

A closed loop is as fast as its slowest part. ``judge`` names that part from core shares and link use, and
collects every reason for doubt that bench/judge/rules finds: its numbers, its remedy, and whether it voids
the run. Why a rule draws its line where it does stands in the rule's file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from bench.judge.figures import CpuUse, RunFigures
from bench.judge.reason import Limit, Reason
from bench.judge.registry import RULES
from bench.judge.rule import LimitName, Rule
from bench.judge.rules.rates import is_rate_missed
from bench.judge.thresholds import Thresholds
from bench.judge.waiting import is_everybody_waiting
from bench.judge.words import cores_words

MACHINE_REASONS = frozenset(rule.code() for rule in RULES if rule.is_of_machine)
"""Codes of what the machine did, and not we: such a run is worth another try."""


WORTH_ANOTHER_TRY = frozenset(rule.code() for rule in RULES if rule.is_worth_another_try)
"""Codes of what makes a run be measured once more though it counts."""


class Evidence(msgspec.Struct, frozen=True):
    """One figure that the limit was named from."""

    party: str
    used: float
    available: float | None  # None: not known
    share: float | None  # used of what is available; 1.0: all of it
    unit: Literal["cores", "bytes_per_second", "seconds"]

    @property
    def text(self) -> str:
        if self.unit == "seconds":
            return f"{self.party} {self.used * 1e3:.2f} ms"
        if self.unit == "bytes_per_second":
            of = "of an unknown link" if self.available is None else f"of {self.available / 1e6:.0f} MB/s"
            return f"{self.party} {self.used / 1e6:.1f} MB/s {of}"
        return f"{self.party} {self.used:.2f} of {cores_words(self.available or 0.0)}"


class Judgement(msgspec.Struct, frozen=True):
    """What held the run back, on what evidence, and whether the run speaks of its server."""

    limit: LimitName
    evidence: tuple[Evidence, ...]
    reasons: tuple[Rule, ...]  # in the order of their rules' priority

    @property
    def valid(self) -> bool:
        return not any(reason.invalidates for reason in self.reasons)

    def as_limit(self) -> Limit:
        return Limit(self.limit, "; ".join(evidence.text for evidence in self.evidence))

    def as_reasons(self) -> tuple[Reason, ...]:
        return tuple(reason.as_reason() for reason in self.reasons)


def judge(figures: RunFigures, thresholds: Thresholds | None = None) -> Judgement:
    """Name the limit of one run and collect the reasons that speak against it."""
    lines = Thresholds() if thresholds is None else thresholds
    reasons: list[Rule] = []
    for rule in RULES:
        reasons += rule.find_beside(figures, lines, tuple(reasons))
    return Judgement(_limit_name(figures, lines, reasons), tuple(_evidence(figures)), tuple(reasons))


def is_spoilt_by_machine(reasons: Sequence[Reason]) -> bool:
    """The run is void, and only because of what else its hosts did meanwhile."""
    void = {reason.code for reason in reasons if reason.invalidates}
    return bool(void) and void <= MACHINE_REASONS


def cause_of_another_try(reasons: Sequence[Reason]) -> Reason | None:
    """Why a run is measured once more; None: it stands.

    It is void by its machine alone, or the machine's own speed was off. Neither depends on how fast the
    server was, so that repeats don't choose.
    """
    if is_spoilt_by_machine(reasons):
        return next(reason for reason in reasons if reason.invalidates)
    if any(reason.invalidates for reason in reasons):
        return None
    return next((reason for reason in reasons if reason.code in WORTH_ANOTHER_TRY), None)


def _limit_name(figures: RunFigures, thresholds: Thresholds, reasons: Sequence[Rule]) -> LimitName:
    """The server if it was saturated, else what the first reason names: they come by priority."""
    if figures.is_server_saturated(thresholds):
        return "server_cpu" if figures.is_server_full(thresholds) else _shared_limit(figures)
    for reason in reasons:
        if reason.limit is not None:
            return reason.limit
    if figures.open_loop is not None:
        return "none_found" if is_rate_missed(figures) else "offered_rate"
    is_known = not any(reason.leaves_limit_unknown for reason in reasons)
    return (
        "latency"
        if figures.requests and is_known and is_everybody_waiting(figures, thresholds)
        else "none_found"
    )


def _shared_limit(figures: RunFigures) -> LimitName:
    """Of cores that the server filled with others: it is named with the one that took more."""
    balancer = figures.balancer if figures.balancer_on_server_cores else None
    database = figures.database if figures.database_on_server_cores else None
    if balancer is None or (database is not None and database.core_share > balancer.core_share):
        return "server_and_database_cpu"
    return "server_and_balancer_cpu"


def _evidence(figures: RunFigures) -> Iterator[Evidence]:
    if figures.server is not None:
        yield _cores("server", figures.server)
    if figures.load:
        busiest = max(figures.load, key=lambda worker: worker.core_share)
        yield _cores(f"busiest load worker ({busiest.worker})", CpuUse(busiest.core_share, 1.0))
    if figures.database is not None:
        yield _cores("database", figures.database)
    if figures.balancer is not None:
        yield _cores("load balancer", figures.balancer)
    link = figures.link
    if link is not None:
        speed = link.link_bytes_per_second
        share = None if speed is None else link.bytes_per_second / speed
        yield Evidence("network", link.bytes_per_second, speed, share, "bytes_per_second")
    if figures.median_latency_seconds is not None:
        yield Evidence("median latency", figures.median_latency_seconds, None, None, "seconds")


def _cores(party: str, use: CpuUse) -> Evidence:
    return Evidence(party, use.core_share, use.cores, use.part, "cores")
