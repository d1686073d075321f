"""CPU quotas of control groups, which stop processes that still have work and cores to do it on.

A quota on the server, and on nobody that its requests need, is a limit of the host and no fault of the run:
containers have one. Its figure counts, as that of the server within the quota, and is no maximum of the
server. A quota that the load generator or the database is in takes from the run what no server can give back:
it voids the run. So does one that they share with the server: who needs less of it leaves more to the others.
Where the generator is part of what is measured, that is the finding.

One stopped period in thirty costs less than two runs of one cell differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import LimitName, Priority, Rule
from bench.judge.thresholds import Thresholds
from bench.judge.words import cores_words
from bench.results.quota import Party, QuotaUse

THROTTLED_SHARE = 0.03
_NAMES: dict[Party, str] = {"server": "server", "database": "database", "load": "load generator"}


class _Throttled(Rule, frozen=True):
    """A control group's CPU quota stopped processes of ours in good part of its periods."""

    host: str
    group: str
    parties: tuple[Party, ...]
    cores: float
    periods: int
    throttled_periods: int
    throttled_seconds: float
    remedy: str = "Lift the quota of that group (cpu.max, cpu.cfs_quota_us; a container's CPU limit)"

    @property
    def text(self) -> str:
        who = " and ".join(f"the {_NAMES[party]}" for party in self.parties)
        have, them = ("has", "it") if len(self.parties) == 1 else ("have together", "them")
        return (
            f"{who} {have} a CPU quota of {cores_words(self.cores)} on {self.host}, which stopped {them} in "
            f"{self.throttled_periods} of {self.periods} periods, for {self.throttled_seconds:.2f} s in all"
        )


class CpuQuota(_Throttled, frozen=True):
    """A CPU quota held the run back."""

    limit: ClassVar[LimitName | None] = "cpu_quota"
    priority: ClassVar[Priority] = Priority.QUOTA
    unranks: ClassVar[bool] = True

    invalidates: bool = False

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[CpuQuota]:
        if figures.is_server_saturated(thresholds):
            return
        for use in tightest(figures.quotas):
            is_void = not is_servers_alone(use) and not figures.generator_is_measured
            yield cls(*_numbers(use), invalidates=is_void)

    @property
    def text(self) -> str:
        if self.invalidates:
            return super().text
        return f"{super().text}: the figure is that of the server within this quota"


class CpuQuotaBesideFullServer(_Throttled, frozen=True):
    """A CPU quota stopped processes, and the server used up its cores all the same."""

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[CpuQuotaBesideFullServer]:
        if figures.is_server_saturated(thresholds):
            for use in tightest(figures.quotas):
                yield cls(*_numbers(use))


def is_servers_alone(use: QuotaUse) -> bool:
    """Nobody else whom a request needs is in the group."""
    return use.parties == ("server",)


def tightest(quotas: Sequence[QuotaUse]) -> tuple[QuotaUse, ...]:
    """The groups that held their processes back: of those that the same parties are in, one above the other,
    the one that stopped them longest."""
    found: dict[tuple[str, tuple[Party, ...]], QuotaUse] = {}
    for use in sorted(quotas, key=lambda one: one.throttled_seconds):
        if use.throttled_share >= THROTTLED_SHARE:
            found[use.host, use.parties] = use
    return tuple(found.values())


def _numbers(use: QuotaUse) -> tuple[str, str, tuple[Party, ...], float, int, int, float]:
    return (
        use.host,
        use.group,
        use.parties,
        use.cores,
        use.periods,
        use.throttled_periods,
        use.throttled_seconds,
    )
