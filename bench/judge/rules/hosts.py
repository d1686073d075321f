"""Other programs on the hosts, and hypervisors: what the machine did, and not we."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import Priority, Rule
from bench.judge.thresholds import Thresholds

# A core with a tenth to spare had room for both.
CORES_FULL = 0.90


class OthersOnLoadCores(Rule, frozen=True):
    """Programs that are none of ours held a load host up. Voids the run unless the server was saturated."""

    priority: ClassVar[Priority] = Priority.OTHERS
    is_of_machine: ClassVar[bool] = True

    host: str
    others: float
    cores: float
    invalidates: bool
    remedy: str = "Stop what else runs on the load host, or keep it off these cores"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[OthersOnLoadCores]:
        for name, host in figures.load_hosts.items():
            if host.others >= thresholds.others_reported * host.cores:
                is_void = (
                    host.others >= thresholds.others_void * host.cores
                    and host.busy >= CORES_FULL * host.cores
                    and not figures.is_server_saturated(thresholds)
                )
                yield cls(name, host.others, host.cores, invalidates=is_void)

    @property
    def text(self) -> str:
        return f"other programs took {self.others:.2f} of the {self.cores:g} cores of the load on {self.host}"


class OthersOnServerCores(Rule, frozen=True):
    """Programs that are none of ours ran on the server's cores. Voids the run if the cores were full."""

    priority: ClassVar[Priority] = Priority.OTHERS
    is_of_machine: ClassVar[bool] = True

    others: float
    cores: float
    invalidates: bool
    remedy: str = "Stop what else runs on the server's host, or keep it off these cores"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[OthersOnServerCores]:
        host = figures.host
        if host is None or host.others < thresholds.others_reported * host.cores:
            return
        is_full = host.busy + (host.stolen or 0.0) >= CORES_FULL * host.cores
        is_void = is_full and host.others >= thresholds.others_void * host.cores
        yield cls(host.others, host.cores, invalidates=is_void)

    @property
    def text(self) -> str:
        return f"other programs took {self.others:.2f} of the {self.cores:g} cores that the server may use"


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
            is_void = host.stolen >= thresholds.others_void * host.cores
            yield cls(host.stolen, host.cores, invalidates=is_void)

    @property
    def text(self) -> str:
        return f"the hypervisor took {self.stolen:.2f} of the server's {self.cores:g} cores away"
