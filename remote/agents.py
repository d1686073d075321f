"""The agents on all hosts: told when a run begins and ends, their samples brought home afterwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from bench.errors import AgentError
from remote.guarded import GuardedHost
from remote.parallel import on_all, outcomes

FOLDER = "agent"
SOCKET = f"{FOLDER}/sock"
PROCESS_NAME = "agent"
START_SECONDS = 10.0
END_SECONDS = 15.0


class AgentHost(msgspec.Struct, frozen=True):
    """A host with the Python that has psutil, the shipped agent.py, and the cores it may use."""

    guarded: GuardedHost
    python: str
    shipped_directory: str
    cores: tuple[int, ...] | None


class Agents(msgspec.Struct, frozen=True):
    """One agent a host, kept alive between runs."""

    hosts: dict[str, AgentHost]

    def begin(self, run: str, targets: Mapping[str, Mapping[str, int]], *, max_seconds: float) -> None:
        """Sample the process trees of ``targets`` ({host: {target: pid}}) until ``end``.

        A host on which nothing of this run is has nothing to be sampled: it is left alone until the next.
        """
        on_all(
            lambda host: self._tell(
                host, {"do": "begin", "run": run, "targets": dict(targets[host]), "max_seconds": max_seconds}
            ),
            [host for host, named in targets.items() if named],
            str,
        )

    def peek(self, host: str) -> dict[str, Any]:
        """The latest sums of each target on a host."""
        found: dict[str, Any] = self._tell(host, {"do": "peek"})
        return found

    def end(self, run: str, hosts: Collection[str]) -> dict[str, bytes]:
        """Stop sampling on these hosts; the JSON lines of each, brought home and removed there."""

        def end_one(host: str) -> bytes:
            self._tell(host, {"do": "end"}, patience_seconds=END_SECONDS)
            guarded = self.hosts[host].guarded
            path = f"{FOLDER}/{run}.jsonl"
            data = guarded.read(path)
            guarded.remove(path)
            return data

        return on_all(end_one, hosts, str)

    def stop(self) -> None:
        """Stop sampling wherever it goes on, without the samples. Never raises for a host or an agent."""
        outcomes(lambda host: self._tell(host, {"do": "end"}), self.hosts, str)

    def _tell(self, host: str, message: Mapping[str, Any], *, patience_seconds: float = 5.0) -> Any:
        answer = self.hosts[host].guarded.tell(SOCKET, message, patience_seconds=patience_seconds)
        if not answer["ok"]:
            raise AgentError(
                f"{host}: the agent refused `{message['do']}`: {answer['error']}",
                remedy=answer.get("remedy")
                or f"see {self.hosts[host].guarded.workdir}/{FOLDER}/agent.log there",
            )
        return answer


def start_agents(hosts: Mapping[str, AgentHost]) -> Agents:
    """Start an agent on each host; returns when all answer."""

    def start_one(name: str) -> None:
        host = hosts[name]
        host.guarded.remove(FOLDER)
        host.guarded.write(f"{FOLDER}/.keep", b"")
        host.guarded.start(
            PROCESS_NAME,
            [host.python, "-m", "remote.onhost.agent", "--control", "sock", "--directory", "."],
            cwd=f"{host.guarded.workdir}/{FOLDER}",
            env={"PYTHONPATH": host.shipped_directory},
            log=f"{FOLDER}/agent.log",
            cores=host.cores,
        )

    on_all(start_one, hosts, str)
    agents = Agents(dict(hosts))
    on_all(lambda name: _await_agent(hosts[name]), hosts, str)
    return agents


def _await_agent(host: AgentHost) -> None:
    """The socket appears when the agent listens; asked on the host, so that a round trip counts once."""
    script = 'i=0; while [ ! -S "$0" ] && [ $i -lt 1000 ]; do sleep 0.01; i=$((i+1)); done; [ -S "$0" ]'
    path = f"{host.guarded.workdir}/{SOCKET}"
    done = host.guarded.run(["sh", "-c", script, path], timeout_seconds=START_SECONDS + 5, check=False)
    if done.exit_status != 0:
        raise AgentError(
            f"{host.guarded.host.name}: the agent did not start",
            remedy="the end of its log follows",
            detail=host.guarded.tail(f"{FOLDER}/agent.log"),
        )
