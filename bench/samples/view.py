"""One host's samples of one run, asked for the measured window. Each tree is put together once."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.figures import NetworkUse
from bench.results.growth import Growth
from bench.results.quota import QuotaUse
from bench.samples.cost import agent_cost
from bench.samples.host import HostCpu, host_cpu, network_use
from bench.samples.memory import Phases, TreeBytes, growth_in, memory_over
from bench.samples.processes import ProcessChange, core_shares_by_process, processes_of
from bench.samples.quotas import quota_use
from bench.samples.read import Samples
from bench.samples.threads import ThreadsUsed, thread_use
from bench.samples.tree import Cpu, Interval, Tree, cpu_of, tree_of


class HostSamples:
    """Answers for ``window``, which is on the clock of ``samples`` (ours, once its offset is taken off).

    Methods that take a ``target`` (server, database, or a load worker's name) raise ResultError for one that
    the samples don't have.
    """

    def __init__(self, samples: Samples, window: Interval) -> None:
        self.samples = samples
        self.window = window
        self._trees: dict[str, Tree] = {}

    def has(self, target: str) -> bool:
        return target in self.samples.header.targets

    def tree(self, target: str) -> Tree:
        if target not in self._trees:
            self._trees[target] = tree_of(self.samples, target)
        return self._trees[target]

    def memory(self, target: str, *, idle: Interval | None, after: Interval | None) -> TreeBytes:
        """Memory at rest before the load, in the window, and at rest after it."""
        return memory_over(self.tree(target), Phases(idle, self.window, after))

    def growth(self, target: str) -> Growth | None:
        """How fast its RSS grows in the window; None where too little of it was sampled."""
        return growth_in(self.tree(target), self.window)

    def cpu(self, target: str) -> Cpu | None:
        """None where less than one sampling interval of the window was sampled."""
        return cpu_of(self.tree(target), self.window)

    def processes(self, target: str) -> ProcessChange:
        return processes_of(self.tree(target), self.window)

    def busiest_process(self, target: str) -> float | None:
        """The greatest core share of a single process; None where the window wasn't sampled."""
        return max(core_shares_by_process(self.tree(target), self.window).values(), default=None)

    def threads(self, target: str) -> ThreadsUsed | None:
        """None where the system doesn't report threads, or too little of the window was read."""
        return thread_use(self.samples, target, self.window)

    def quotas(self, host: str) -> tuple[QuotaUse, ...]:
        """The CPU quotas that held targets of this host, whose name is ``host``, in the window."""
        return quota_use(self.samples, host, self.window)

    def host_cpu(self, cores: Sequence[int]) -> HostCpu | None:
        """What all programs took of these cores; None where too little of the window was read."""
        return host_cpu(self.samples, cores, self.window)

    def network(self) -> NetworkUse | None:
        """None where too little of the window was read."""
        return network_use(self.samples, self.window)

    def agent_share(self) -> float | None:
        """The agent's own part of a core; None where too little of the window was read."""
        return agent_cost(self.samples, self.window).core_share
