"""Other programs on the hosts, and hypervisors: what the machine did, and not we.

A saturated server's figure lacks what others took of its cores while it was ready to run: a tenth voids it.
Where nobody was at a limit, others may be why nobody was: a few per cent of either side's cores void a run,
and it is measured again. Between the two a saturated server's maximum is at most a quarter higher: a tenth of
its cores taken, and a tenth not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import HostUse, RunFigures
from bench.judge.rule import Priority, Rule
from bench.judge.rules.load import is_load_at_limit
from bench.judge.rules.server import is_bound_by_server
from bench.judge.thresholds import Thresholds
from bench.judge.words import cores_words


class OthersOnLoadCores(Rule, frozen=True):
    """Programs that are none of ours, or other machines, had the load's cores."""

    priority: ClassVar[Priority] = Priority.OTHERS
    is_of_machine: ClassVar[bool] = True

    host: str
    others: float
    cores: float
    invalidates: bool
    remedy: str = "Stop what else runs on the load host, or keep it off these cores"
    stolen: float = 0.0

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[OthersOnLoadCores]:
        for name, host in figures.load_hosts.items():
            if host.taken_share >= thresholds.others_reported:
                is_void = _is_load_spoilt(figures, thresholds, host)
                yield cls(name, host.others, host.cores, invalidates=is_void, stolen=host.stolen or 0.0)

    @property
    def share(self) -> float:
        return (self.others + self.stolen) / self.cores

    @property
    def text(self) -> str:
        stolen = f" and the hypervisor {self.stolen:.2f}" if self.stolen >= 0.005 else ""
        cores = cores_words(self.cores)
        return f"other programs took {self.others:.2f}{stolen} of the {cores} of the load on {self.host}"


class OthersOnServerCores(Rule, frozen=True):
    """Programs that are none of ours ran on the server's cores."""

    priority: ClassVar[Priority] = Priority.OTHERS
    is_of_machine: ClassVar[bool] = True

    others: float
    cores: float
    invalidates: bool
    remedy: str = "Stop what else runs on the server's host, or keep it off these cores"
    lost: float = 0.0  # cores' worth of time that the server was ready to run, and they or the hypervisor had

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[OthersOnServerCores]:
        host = figures.host
        if host is None or host.others < thresholds.others_reported * host.cores:
            return
        is_void = _is_server_spoilt(figures, thresholds, host.others / host.cores)
        yield cls(host.others, host.cores, invalidates=is_void, lost=figures.server_lost)

    @property
    def share(self) -> float:
        return self.others / self.cores

    @property
    def text(self) -> str:
        waited = (
            f"; for {self.lost:.2f} of a core it was ready to run and had none" if self.lost >= 0.005 else ""
        )
        cores = cores_words(self.cores)
        return f"other programs took {self.others:.2f} of the {cores} that the server may use{waited}"


class CpuStolen(Rule, frozen=True):
    """The hypervisor gave the server's cores to another machine for part of the window."""

    priority: ClassVar[Priority] = Priority.OTHERS
    is_of_machine: ClassVar[bool] = True

    stolen: float
    cores: float
    invalidates: bool
    remedy: str = "Use a machine whose cores are its own, or repeat at another hour"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[CpuStolen]:
        host = figures.host
        if host is None or host.stolen is None:
            return
        if host.stolen >= thresholds.others_reported * host.cores:
            is_void = _is_server_spoilt(figures, thresholds, host.stolen / host.cores)
            yield cls(host.stolen, host.cores, invalidates=is_void)

    @property
    def share(self) -> float:
        return self.stolen / self.cores

    @property
    def text(self) -> str:
        return f"the hypervisor took {self.stolen:.2f} of the server's {cores_words(self.cores)} away"


def _is_server_spoilt(figures: RunFigures, thresholds: Thresholds, taken_share: float) -> bool:
    """Whether ``taken_share`` of the server's cores may have changed what a decision is made of."""
    lost = 0.0 if figures.server is None else figures.server_lost / figures.server.cores
    if lost >= thresholds.lost_void:
        return True
    if figures.open_loop is not None:
        has_room = figures.host is not None and figures.host.has_room
        return taken_share >= thresholds.others_void and not has_room
    return taken_share >= thresholds.others_spoil and not is_bound_by_server(figures, thresholds)


def _is_load_spoilt(figures: RunFigures, thresholds: Thresholds, host: HostUse) -> bool:
    """A server that has little to spare hides what the load lost."""
    if is_bound_by_server(figures, thresholds):
        return False
    if figures.open_loop is not None:
        return host.taken_share >= thresholds.others_void and not host.has_room
    is_loads_own = figures.generator_is_measured and is_load_at_limit(figures, thresholds)
    return host.taken_share >= (thresholds.lost_void if is_loads_own else thresholds.others_spoil)
