"""What a rule is: one reason that a run's figures may give, and how it is found in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import ClassVar, Literal, Self

import msgspec

from bench.judge.figures import RunFigures
from bench.judge.reason import Reason
from bench.judge.thresholds import Thresholds

LimitName = Literal[
    "server_cpu",
    "cpu_quota",
    "server_and_database_cpu",
    "server_and_balancer_cpu",
    "load_balancer",
    "load_generator",
    "database",
    "network",
    "latency",
    "offered_rate",
    "none_found",
]

SERVERS_OWN: frozenset[str] = frozenset({"server_cpu", "server_and_database_cpu", "server_and_balancer_cpu"})
"""Limits that lie in the server's cores, with its database's or balancer's work on them or without."""


class Priority(IntEnum):
    """The order in which rules are asked and their reasons listed.

    The first reason found that names a limit names the run's. What stops processes comes first, and then the
    generator: while it is at its limit, no other figure holds.
    """

    INVARIANTS = 1
    QUOTA = 5
    GENERATOR = 10
    NETWORK = 20
    BALANCER = 25
    DATABASE = 30
    ROUND_TRIP = 40
    SERVER = 50
    LATENCY = 60
    RATE = 70
    # From here on: reasons against a run that name no limit.
    NO_ANSWER = 100
    CONFIGURATION = 105
    PROCESSES = 110
    OTHERS = 120
    FAILURES = 130
    COUNTS = 140
    LATE = 150
    SAMPLES = 160
    SATURATION = 170
    NOBODY = 180  # asked last: whether any other has found what held the run back
    REMARK = 200


class Rule(msgspec.Struct, frozen=True, tag=True):
    """A subclass is a rule, and each of its instances a reason that was found: its numbers are its fields.

    To add a rule, write its class into a file of bench/judge/rules; it needs no other line. Its name is the
    code of the reason in results, so it never changes. ``remedy`` and ``invalidates`` are fields of a rule
    where they have a value of their own.
    """

    limit: ClassVar[LimitName | None] = None  # what the reason names as the run's limit, if anything
    priority: ClassVar[Priority] = Priority.REMARK
    # It is what the machine did, and not we: a run that is void for it is worth another try.
    is_of_machine: ClassVar[bool] = False
    # Such a run is measured once more though it counts, by something that the server has no part in.
    is_worth_another_try: ClassVar[bool] = False

    # The run's figure stands, but as no maximum of its server.
    unranks: ClassVar[bool] = False
    # All parties may have waited for this, and for something that nobody sees: neither is named.
    leaves_limit_unknown: ClassVar[bool] = False

    @property
    def invalidates(self) -> bool:
        """The run says nothing about its server."""
        return False

    @property
    def share(self) -> float | None:
        """Of the cores that it is about, what was found taken; None: it is about no cores."""
        return None

    @property
    def remedy(self) -> str:
        """What to do about it: one sentence without its full stop."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """What was found, for readers: one sentence without its capital and full stop."""
        raise NotImplementedError

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[Self]:
        """Every reason of this kind that the figures give."""
        raise NotImplementedError

    @classmethod
    def find_beside(
        cls, figures: RunFigures, thresholds: Thresholds, found: Sequence[Rule]
    ) -> Iterator[Self]:
        """The same, for a rule that depends on what those before it have ``found``."""
        return cls.find(figures, thresholds)

    @classmethod
    def code(cls) -> str:
        """As results keep it."""
        return cls.__name__

    def as_reason(self) -> Reason:
        """As results keep it."""
        share = None if self.share is None else round(self.share, 2)
        return Reason(self.code(), self.text, self.remedy, self.invalidates, self.unranks, share)
