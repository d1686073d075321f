"""A server as several processes behind a load balancer on one host: each ready by itself, then all behind it.

Each process is started as the server always is, with one worker, on a Unix socket of its own; so it is proven
ready, and its settings are, without the balancer. Then all of them must answer through the balancer's port.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

import msgspec

from bench.balancers import HAPROXY_WORDS, Balancer, balancer_title, haproxy_config
from bench.errors import AsgibenchError, ServerStartError
from bench.plan.balancing import BalancedCores
from bench.spec import Serving
from bench.wire.answers import ServerReady
from bench.wire.guard import FileTail
from bench.wire.observation import ServerSeen
from remote.guard_link import GuardRefusal
from remote.guarded import GuardedHost
from remote.parallel import on_all
from remote.provision.debian import FoundProgram
from remote.server import (
    PROCESS_NAME,
    STOP_GRACE_SECONDS,
    Deployment,
    FirstRequest,
    RunningServer,
    await_ready,
    check_place,
    empty_counts,
    log_tail,
    start_process,
)

BALANCER_NAME = "balancer"
BALANCER_CONFIG = "balancer/haproxy.cfg"
BALANCER_LOG = "balancer/haproxy.log"
SOCKETS = "server/sockets"


class BalancerPlace(msgspec.Struct, frozen=True):
    """What a server runs behind, and where."""

    name: Balancer
    program: FoundProgram
    cores: BalancedCores
    connections: int  # of the load


class RunningBalancer(msgspec.Struct, frozen=True):
    """A balancer through which every process has answered."""

    pid: int
    behind: BalancerPlace
    configuration: str  # the text of its file


class BalancedServer(msgspec.Struct, frozen=True):
    """The processes of a server as one, and what stands before them."""

    running: RunningServer
    pids: tuple[int, ...]  # of each process's leader
    balancer: RunningBalancer


def process_names(processes: int) -> tuple[str, ...]:
    """Of the server's processes behind a balancer, by the guard."""
    return tuple(f"{PROCESS_NAME}-{number}" for number in range(1, processes + 1))


def start_balanced(
    host: GuardedHost, deployment: Deployment, behind: BalancerPlace, requests: Sequence[FirstRequest]
) -> BalancedServer:
    """Start as many processes as ``deployment`` has workers, then the balancer; take the answers through it.

    Raises as ``start_server``; then nothing of it is left running.
    """
    front = msgspec.structs.replace(deployment, serving=Serving("tcp", deployment.serving.protocol))
    check_place(host, front)
    empty_counts(host)
    host.remove(SOCKETS)
    host.write(f"{SOCKETS}/.keep", b"")
    names = process_names(deployment.workers)
    parts = [_part(host, deployment, behind, name) for name in names]
    try:
        started = on_all(lambda part: start_process(host, part, []), parts, lambda part: part.name)
        running = [started[part.name] for part in parts]
        balancer = _start_balancer(host, front, behind, [part.socket for part in parts])
        through = _through_balancer(host, front, balancer, requests)
    except BaseException:
        stop_balanced(host, names)
        raise
    seen = together([one.seen for one in running])
    return BalancedServer(
        RunningServer(
            pid=running[0].pid,
            command=running[0].command,
            worker_pids=tuple(sorted(pid for one in running for pid in one.worker_pids)),
            configuration=seen.configurations[0],
            seen=seen,
            answers=through.answers,
            ready_seconds=max(one.ready_seconds for one in running) + through.seconds,
        ),
        tuple(one.pid for one in running),
        balancer,
    )


def stop_balanced(host: GuardedHost, names: Iterable[str]) -> None:
    """The balancer and the processes of ``names``, those that ran; returns when none is left."""

    def stop(name: str) -> None:
        try:
            host.stop(name, grace_seconds=STOP_GRACE_SECONDS)
        except GuardRefusal as refusal:
            if refusal.kind != "unknown":
                raise

    on_all(stop, (BALANCER_NAME, *names), str)


def ended_part(host: GuardedHost, names: Iterable[str]) -> tuple[str, int] | None:
    """The first of a running server's processes that has ended by itself, with its status; None: all run."""
    for name in (BALANCER_NAME, *names):
        status = host.exit_status(name)
        if status is not None:
            return name, status
    return None


def logs_of(host: GuardedHost, names: Sequence[str]) -> FileTail:
    """The ends of the processes' logs, one behind the other, with the size of all of them."""
    tails = [log_tail(host, name) for name in names]
    return FileTail("".join(one.text for one in tails), sum(one.file_bytes for one in tails))


def balancer_log(host: GuardedHost) -> str:
    return host.tail(BALANCER_LOG)


def _part(host: GuardedHost, deployment: Deployment, behind: BalancerPlace, name: str) -> Deployment:
    return msgspec.structs.replace(
        deployment,
        name=name,
        workers=1,
        cores=behind.cores.server,
        serving=Serving("unix", deployment.serving.protocol),
        socket=f"{host.workdir}/{SOCKETS}/{name.rpartition('-')[2]}",
    )


def _start_balancer(
    host: GuardedHost, deployment: Deployment, behind: BalancerPlace, sockets: Sequence[str]
) -> RunningBalancer:
    settings = deployment.spec.settings
    text = haproxy_config(
        bind=deployment.bind,
        port=deployment.port,
        sockets=sockets,
        connections=behind.connections,
        backlog=settings.backlog,
        keep_alive_seconds=settings.keep_alive_seconds,
    )
    host.remove(BALANCER_LOG)
    host.write(BALANCER_CONFIG, text.encode())
    try:
        pid = host.start(
            BALANCER_NAME,
            [behind.program.path, *HAPROXY_WORDS, f"{host.workdir}/{BALANCER_CONFIG}"],
            log=BALANCER_LOG,
            env=behind.program.variables,
            cores=behind.cores.balancer,
        )
    except GuardRefusal as refusal:
        raise ServerStartError(
            f"{balancer_title(behind.name)} could not be started on {refusal.message}",
            remedy="Run `./invoke hosts.clean` for that host and try again",
        ) from refusal
    return RunningBalancer(pid, behind, text)


def _through_balancer(
    host: GuardedHost, deployment: Deployment, balancer: RunningBalancer, requests: Sequence[FirstRequest]
) -> ServerReady:
    """Every process has answered through the port. Raises ServerStartError."""
    ready = await_ready(host, deployment, balancer.pid, requests, log=BALANCER_LOG)
    if ready.ready:
        return ready
    title = balancer_title(balancer.behind.name)
    tail = ""
    with contextlib.suppress(AsgibenchError):
        tail = balancer_log(host)
    raise ServerStartError(
        f"{deployment.spec.name} did not answer through {title} on {host.host.name} within "
        f"{ready.seconds:.0f} s ({ready.problem})",
        remedy=f"The end of {title}'s log follows",
        detail=tail or "(its log is empty)",
    )


def together(seen: Sequence[ServerSeen]) -> ServerSeen:
    """What several processes were seen to do, as of one server: what any of them does otherwise shows."""
    first = seen[0]
    accepting = [one.accepting_pids for one in seen]
    told = [told for one in seen for told in one.configurations]
    return ServerSeen(
        configurations=tuple(sorted(told, key=lambda one: int(one["pid"] or 0))),
        accepting_pids=None
        if None in accepting
        else tuple(sorted(pid for pids in accepting for pid in pids or ())),
        status_line=first.status_line,
        header_lines=first.header_lines,
        head_bytes=first.head_bytes,
        kept_alive=all(one.kept_alive for one in seen),
        idle_seconds=min(one.idle_seconds for one in seen),
        requests=sum(one.requests for one in seen),
        log_lines=sum(one.log_lines for one in seen),
        log_bytes=sum(one.log_bytes for one in seen),
        unix_backlog=min((one.unix_backlog for one in seen if one.unix_backlog is not None), default=None),
    )
