"""The agents on all hosts: asked to sample when a run begins, and for their samples when it has ended."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TypeVar

import msgspec

from bench.errors import AgentError
from bench.wire.agent import (
    Answer,
    Begin,
    Begun,
    End,
    Ended,
    Gauge,
    Gauged,
    Peek,
    Peeked,
    Refusal,
    Request,
    TreeNow,
    decode_answer,
    encode_request,
)
from bench.wire.codec import WireError
from remote.guard_link import GuardRefusal
from remote.guarded import GuardedHost
from remote.parallel import on_all, outcomes

FOLDER = "agent"
SOCKET = f"{FOLDER}/sock"
PROCESS_NAME = "agent"
EXIT_REPORT_SECONDS = 1.0
START_SECONDS = 10.0
END_SECONDS = 15.0

Expected = TypeVar("Expected", Begun, Peeked, Gauged, Ended)


class AgentHost(msgspec.Struct, frozen=True):
    """A host, and how an agent is started there."""

    guarded: GuardedHost
    python: str  # the interpreter of the environment that has psutil
    shipped_directory: str  # where our packages are
    cores: tuple[int, ...] | None  # that the agent may use; None: any


class Agents(msgspec.Struct, frozen=True):
    """One agent a host, kept alive between runs."""

    hosts: dict[str, AgentHost]

    def begin(
        self,
        run: str,
        targets: Mapping[str, Mapping[str, int]],
        *,
        max_seconds: float,
        also: Mapping[str, Mapping[str, tuple[int, ...]]] = {},
    ) -> None:
        """Sample the process trees of ``targets`` ({host: {target: pid}}) until ``end``.

        ``also`` has the further processes of a target that is several trees.
        A host on which nothing of this run is has nothing to be sampled: it is left alone until the next.
        """
        orders = {
            host: Begin(run, dict(named), max_seconds=max_seconds, also=dict(also.get(host, {})))
            for host, named in targets.items()
            if named
        }
        on_all(
            lambda host: self._ask(host, orders[host], Begun),
            orders,
            str,
        )

    def peek(self, host: str) -> dict[str, TreeNow]:
        """The latest sums of each target on a host that hasn't ended."""
        return self._ask(host, Peek(), Peeked).targets

    def gauge(self, host: str, core: int | None) -> Gauged:
        """One reading of the yardstick on a core of the host, which is idle. Raises AgentError."""
        return self._ask(host, Gauge(core), Gauged)

    def end(self, run: str, hosts: Collection[str]) -> dict[str, bytes]:
        """Stop sampling on these hosts; the JSON lines of each, brought home and removed there."""

        def end_one(host: str) -> bytes:
            self._ask(host, End(), Ended, patience_seconds=END_SECONDS)
            guarded = self.hosts[host].guarded
            path = f"{FOLDER}/{run}.jsonl"
            data = guarded.read(path)
            guarded.remove(path)
            return data

        return on_all(end_one, hosts, str)

    def stop(self) -> None:
        """Stop sampling wherever it goes on, and remove the samples. Never raises for a host or an agent."""

        def stop_one(host: str) -> None:
            ended = self._ask(host, End(), Ended)
            self.hosts[host].guarded.remove(f"{FOLDER}/{ended.run}.jsonl")

        outcomes(stop_one, self.hosts, str)

    def _ask(
        self, host: str, request: Request, expected: type[Expected], *, patience_seconds: float = 5.0
    ) -> Expected:
        """Raises AgentError where the agent refuses, or answers with something else."""
        guarded = self.hosts[host].guarded
        try:
            line = guarded.tell(SOCKET, encode_request(request), patience_seconds=patience_seconds)
        except GuardRefusal as refusal:
            raise _no_answer(host, guarded, refusal) from refusal
        try:
            answer: Answer | None = decode_answer(line)
        except WireError:
            answer = None
        if isinstance(answer, expected):
            return answer
        verb = type(request).__name__.lower()
        if isinstance(answer, Refusal):
            raise AgentError(
                f"{host}: the agent refused `{verb}`: {answer.error}",
                remedy=answer.remedy or f"See {guarded.workdir}/{FOLDER}/agent.log there",
            )
        raise AgentError(
            f"{host}: the agent answered `{verb}` with something else",
            remedy=f"See {guarded.workdir}/{FOLDER}/agent.log there",
            detail=line[:200],
        )


def ended_error(host: str, guarded: GuardedHost, status: int) -> AgentError:
    """The error of an agent that has ended by itself."""
    return AgentError(
        f"{host}: the agent ended in mid-run with status {status}",
        remedy="The end of its log follows",
        detail=guarded.tail(f"{FOLDER}/agent.log"),
    )


def _no_answer(host: str, guarded: GuardedHost, refusal: GuardRefusal) -> AgentError:
    """Why a request got no answer. That a process has ended may be reported a moment later."""
    deadline = time.monotonic() + EXIT_REPORT_SECONDS
    while (status := guarded.exit_status(PROCESS_NAME)) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if status is not None:
        return ended_error(host, guarded, status)
    return AgentError(
        f"{host}: the agent does not answer ({refusal.message})",
        remedy=f"See {guarded.workdir}/{FOLDER}/agent.log there",
    )


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
            remedy="The end of its log follows",
            detail=host.guarded.tail(f"{FOLDER}/agent.log"),
        )
