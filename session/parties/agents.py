"""The agents: one on each host, sampling the processes of a run and the host itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from bench.environment.clocks import ClockReading
from bench.plan.placement import Cores, Placement, agent_cores
from bench.results.evidence import AgentEvidence
from bench.wire.agent import Gauged, TreeNow
from remote.agents import PROCESS_NAME, AgentHost, Agents, ended_error, start_agents
from remote.database import TOOLS_GROUP
from remote.fleet import Fleet
from remote.parallel import on_all
from remote.provision.provision import Provisioned

SPARE_SECONDS = 60
"""How much longer than planned a run may take before its agents end it by themselves."""

Targets = dict[str, dict[str, int]]
"""{host: {name: pid}} of the process trees to sample."""

FurtherTargets = Mapping[str, Mapping[str, tuple[int, ...]]]
"""{host: {name: pids}} of targets that are several trees: all but the first."""


class AgentParty(msgspec.Struct, frozen=True):
    """Every host's agent, alive between runs."""

    agents: Agents

    @classmethod
    def start(
        cls,
        fleet: Fleet,
        provisioned: Mapping[str, Provisioned],
        placement: Placement,
    ) -> AgentParty:
        """Returns when every agent answers. Raises AgentError with the tail of its log."""
        hosts = {
            name: AgentHost(
                guarded=fleet.hosts[name],
                python=_python_with_psutil(one),
                shipped_directory=str(one.shipped),
                cores=agent_cores(placement, name),
            )
            for name, one in provisioned.items()
        }
        return cls(start_agents(hosts))

    def begin(
        self,
        label: str,
        targets: Targets,
        run_seconds: float,
        also: Mapping[str, Mapping[str, tuple[int, ...]]] = {},
    ) -> None:
        """Sample the process trees of ``targets`` until ``collect`` or ``abandon``.

        ``run_seconds`` is what the run is planned to take, without its overhead.
        """
        self.agents.begin(label, targets, max_seconds=run_seconds + SPARE_SECONDS, also=also)

    def check(self) -> None:
        """Raises AgentError if an agent has ended by itself."""
        for name, host in self.agents.hosts.items():
            status = host.guarded.exit_status(PROCESS_NAME)
            if status is not None:
                raise ended_error(name, host.guarded, status)

    def cores_on(self, host: str) -> Cores:
        """The cores that the host's agent may use; None: any."""
        return self.agents.hosts[host].cores

    def read_clocks(self) -> dict[str, ClockReading]:
        """Every host's clocks against ours, by the guards, now."""
        guarded = {name: one.guarded for name, one in self.agents.hosts.items()}
        return on_all(lambda name: guarded[name].read_clocks(), guarded, str)

    def collect(self, label: str, hosts: Collection[str]) -> AgentEvidence:
        """Stop sampling on these hosts and bring the samples home. Raises AgentError."""
        return AgentEvidence(self.agents.end(label, hosts))

    def gauge(self, host: str, core: int | None) -> Gauged:
        """One reading of the yardstick on an idle core; None: any core. Raises AgentError."""
        return self.agents.gauge(host, core)

    def latest(self, host: str, target: str) -> TreeNow | None:
        """The newest sums of a process tree; None where it has ended. Raises AgentError."""
        return self.agents.peek(host).get(target)

    def abandon(self) -> None:
        """Stop sampling after a failure, wherever it was begun and the host can be reached."""
        self.agents.stop()

    def mend(self) -> None:
        """Nothing is sampled any more, and every agent runs. Raises AgentError."""
        self.agents.stop()
        ended = {
            name: host
            for name, host in self.agents.hosts.items()
            if host.guarded.exit_status(PROCESS_NAME) is not None
        }
        start_agents(ended)


def _python_with_psutil(provisioned: Provisioned) -> str:
    environments = provisioned.environments
    return environments.get(TOOLS_GROUP, next(iter(environments.values()))).python
