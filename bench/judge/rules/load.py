"""The load generator: whether it was at its limit, or took what the server needed.

*When the server and the load generator are both busy.* A server that has used up its cores could not have
answered more requests from any client: its throughput stands, and the limit is ``server_cpu``, even if a load
worker was at its own limit too. What a busy generator does spoil is latency, since answers wait in the
generator before their clock is stopped. So ``LoadWorkerAtLimit`` is then reported and does not void the run.
With a server that had CPU to spare, the same worker means that more load would have been answered: the figure
is the generator's, and the run is void. None of the servers spins while idle, so a full core is a used one.

*When they share cores.* The generator takes from the server what its own client costs, which is no property
of the server. That voids the run.

*Where the generator is part of what is measured* (Locust's own clients, or the load on the server's own
cores, as the paper had both) the figure is that of server and generator together, and never ranks a server.
So a generator at its limit, or one that takes the server's cores, is the finding there and voids nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import LoadUse, RunFigures
from bench.judge.rule import LimitName, Priority, Rule
from bench.judge.thresholds import Thresholds
from bench.judge.words import cores_words


class LoadWorkerAtLimit(Rule, frozen=True):
    """A load worker used its core up. Voids the run unless the server was saturated too."""

    limit: ClassVar[LimitName | None] = "load_generator"
    priority: ClassVar[Priority] = Priority.GENERATOR

    worker: str
    core_share: float
    invalidates: bool
    remedy: str = "Add load hosts, or load workers where cores are free"
    core_wait_share: float = 0.0
    server_saturated: bool = True
    interrupt_share: float = 0.0

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[LoadWorkerAtLimit]:
        saturated = figures.is_server_saturated(thresholds)
        for worker in figures.load:
            if worker.busy_share >= thresholds.load_worker_at_limit:
                if _is_held_up(worker, figures, thresholds):
                    continue
                yield cls(
                    worker.worker,
                    worker.core_share,
                    invalidates=not saturated and not figures.generator_is_measured,
                    core_wait_share=worker.core_wait_share,
                    server_saturated=saturated,
                    interrupt_share=worker.interrupt_share,
                )

    @property
    def text(self) -> str:
        spoiled = ""
        if not self.invalidates:
            spoiled = (
                "; the server was saturated too, but latency includes waiting here"
                if self.server_saturated
                else "; the server had CPU to spare"
            )
        wait = self.core_wait_share
        waited = f" and waited for it for {wait:.2f} s" if wait >= 0.005 else ""
        used = f"load worker {self.worker} used {self.core_share:.2f} of its core"
        if self.interrupt_share >= 0.005:
            used += f", its interrupts {self.interrupt_share:.2f}"
        return f"{used}{waited} in the median second{spoiled}"


class LoadSharesCores(Rule, frozen=True):
    """The server's cores were full, and the load generator was among those that filled them."""

    limit: ClassVar[LimitName | None] = "load_generator"
    priority: ClassVar[Priority] = Priority.GENERATOR

    server_share: float
    load_share: float
    cores: float
    invalidates: bool = True
    remedy: str = "Put the load on another host, or on other cores of this one (asgibench_cores)"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[LoadSharesCores]:
        server, load_share = figures.server, figures.load_on_server_cores
        if server is None or load_share == 0.0 or figures.is_server_saturated(thresholds):
            return
        database = figures.database if figures.database_on_server_cores else None
        database_share = 0.0 if database is None else database.core_share
        cores = figures.cores_shared
        if server.core_share + load_share + database_share >= figures.saturated_line(thresholds) * cores:
            yield cls(server.core_share, load_share, cores, invalidates=not figures.generator_is_measured)

    @property
    def text(self) -> str:
        return (
            f"the load generator took {self.load_share:.2f} of the {cores_words(self.cores)} it shares "
            f"with the server, which had {self.server_share:.2f}"
        )


def _is_held_up(worker: LoadUse, figures: RunFigures, thresholds: Thresholds) -> bool:
    """Others had the core that the worker waited for: ``OthersOnLoadCores`` is the reason then.

    Where the generator is measured too, a worker without time left is the finding all the same.
    """
    host = figures.load_hosts.get(worker.host)
    if host is None or figures.generator_is_measured or worker.work_share >= thresholds.load_worker_at_limit:
        return False
    return host.taken_share >= thresholds.others_spoil


def is_load_at_limit(figures: RunFigures, thresholds: Thresholds) -> bool:
    """A load worker had no CPU left, by itself or because it shares the server's cores."""
    reasons = (*LoadWorkerAtLimit.find(figures, thresholds), *LoadSharesCores.find(figures, thresholds))
    return bool(reasons)
