"""The measured servers: made ready on their host once, and one of them started and stopped in each run."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import msgspec

from bench.balancers import PROGRAMS, balancer_title, version_in
from bench.catalogue.serving import group_for
from bench.errors import AsgibenchError, ServerStartError
from bench.plan.balancing import balanced_cores
from bench.plan.serving import is_asked_over, serving_of
from bench.results.assemble import BALANCER, SERVER
from bench.results.cell import Cell
from bench.results.evidence import BalancerEvidence, ServerEvidence
from bench.served import USUALLY_SERVED, Served
from bench.spec import ServerSpec
from bench.wire.answers import TakenAnswer
from loadgen.traffic import Traffic
from remote.balanced import (
    BALANCER_NAME,
    BalancedServer,
    BalancerPlace,
    RunningBalancer,
    balancer_log,
    ended_part,
    logs_of,
    process_names,
    start_balanced,
    stop_balanced,
)
from remote.certificate import Certificate
from remote.database import TOOLS_GROUP
from remote.guarded import GuardedHost
from remote.provision.debian import FoundProgram
from remote.provision.provision import Provisioned, VirtualEnvironment
from remote.server import (
    PROCESS_NAME,
    Deployment,
    FirstRequest,
    RunningServer,
    check_settings,
    lines_grown,
    log_tail,
    read_counts,
    start_server,
    stop_server,
)


class BegunServer(msgspec.Struct, frozen=True):
    """One run's server, ready for requests."""

    deployment: Deployment
    running: RunningServer
    balanced: BalancedServer | None = None  # its processes behind a balancer; None: it is one by itself

    @property
    def names(self) -> tuple[str, ...]:
        """Of its processes, by the guard."""
        return (PROCESS_NAME,) if self.balanced is None else process_names(len(self.balanced.pids))

    @property
    def targets(self) -> dict[str, int]:
        """{name: pid} of the process trees that are its own, or the balancer's."""
        if self.balanced is None:
            return {SERVER: self.running.pid}
        return {SERVER: self.running.pid, BALANCER: self.balanced.balancer.pid}

    @property
    def further_pids(self) -> tuple[int, ...]:
        """Of the server's further process trees."""
        return () if self.balanced is None else self.balanced.pids[1:]


class StoppedServer(msgspec.Struct, frozen=True):
    """What a run's server left behind."""

    evidence: ServerEvidence
    log_tail: str


class ServerParty(msgspec.Struct, frozen=True):
    """The plan's servers on their host. At most one of them runs at a time."""

    host: GuardedHost
    deployments: dict[str, Deployment]  # by server, for plain HTTP/1.1
    port: int
    # By environment: its folder and its packages.
    environments: dict[str, VirtualEnvironment] = {}
    certificate: Certificate | None = None  # of all servers; None: none is reached with TLS
    connections: int = 0  # of the load
    programs: dict[str, FoundProgram] = {}  # by name: those of the plan's balancers
    most_processes: int = 0  # behind a balancer

    @classmethod
    def start(
        cls,
        host: GuardedHost,
        specs: Sequence[ServerSpec],
        provisioned: Provisioned,
        *,
        port: int,
        cores: tuple[int, ...] | None,
        database_url: str,
        certificate: Certificate | None = None,
        connections: int = 0,
        most_processes: int = 0,
    ) -> ServerParty:
        """Every server's deployment; none is started. ``database_url`` is empty without a database."""
        return cls(
            host,
            {spec.name: _deployment(host, spec, provisioned, port, cores, database_url) for spec in specs},
            port,
            dict(provisioned.environments),
            certificate,
            connections,
            provisioned.programs,
            most_processes,
        )

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return self.host.host.address

    def deployment_of(self, server: str, served: Served) -> Deployment:
        """The server as it is set up to be reached so."""
        usual = self.deployments[server]
        if served == USUALLY_SERVED:
            return usual
        serving = serving_of(served)
        environment = self.environments[group_for(usual.spec, serving)]
        return msgspec.structs.replace(
            usual,
            version=environment.versions[usual.spec.package],
            program_directory=f"{environment.directory}/bin",
            serving=serving,
            certificate=self.certificate,
        )

    def take_answers(
        self,
        server: str,
        workers: int,
        requests: Sequence[FirstRequest],
        served: Served = USUALLY_SERVED,
    ) -> dict[str, TakenAnswer]:
        """Start one server, prove its settings, ask it for every endpoint that it serves, and stop it again.

        Returns the answers by endpoint. Raises PortTaken, HostUnsuitable, ServerStartError and
        SettingsContradicted.
        """
        deployment = msgspec.structs.replace(self.deployment_of(server, served), workers=workers)
        unsupported = deployment.spec.unsupported_endpoints
        wanted = [
            one
            for one in requests
            if one.endpoint.name not in unsupported and is_asked_over(one.endpoint, served)
        ]
        begun = self._begin(deployment, served, wanted)
        self.stop(begun)
        check_settings(begun.deployment, begun.running)
        return begun.running.answers

    def begin(self, cell: Cell, cores: tuple[int, ...] | None) -> BegunServer:
        """Start the cell's server on ``cores`` (None: any).

        Raises PortTaken, HostUnsuitable, ServerStartError.
        """
        usual = self.deployment_of(cell.server, cell.served)
        deployment = msgspec.structs.replace(usual, workers=cell.workers, cores=cores)
        return self._begin(deployment, cell.served, [])

    def _begin(self, deployment: Deployment, served: Served, requests: Sequence[FirstRequest]) -> BegunServer:
        if not served.balancer:
            return BegunServer(deployment, start_server(self.host, deployment, requests))
        cores = balanced_cores(deployment.cores, deployment.workers)
        program = self.programs[PROGRAMS[served.balancer].name]
        place = BalancerPlace(served.balancer, program, cores, self.connections)
        balanced = start_balanced(self.host, deployment, place, requests)
        return BegunServer(
            msgspec.structs.replace(deployment, cores=cores.server), balanced.running, balanced
        )

    def check(self, begun: BegunServer) -> None:
        """Raises ServerStartError if the run's server has ended by itself."""
        name = begun.deployment.spec.name
        if begun.balanced is None:
            status = self.host.exit_status(PROCESS_NAME)
            if status is not None:
                raise _ended(name, status, log_tail(self.host).text)
            return
        ended = ended_part(self.host, begun.names)
        if ended is not None:
            part, status = ended
            is_balancer = part == BALANCER_NAME
            who = balancer_title(begun.balanced.balancer.behind.name) if is_balancer else f"{name} ({part})"
            log = balancer_log(self.host) if is_balancer else logs_of(self.host, [part]).text
            raise _ended(who, status, log)

    def stop(self, begun: BegunServer) -> None:
        """Returns when no process of the server is left, nor of a balancer before it."""
        if begun.balanced is None:
            stop_server(self.host)
        else:
            stop_balanced(self.host, begun.names)

    def abandon(self) -> None:
        """Stop what runs after a failure, if anything does and its host can be reached."""
        with contextlib.suppress(AsgibenchError):
            stop_server(self.host)
        if self.most_processes:
            with contextlib.suppress(AsgibenchError):
                stop_balanced(self.host, process_names(self.most_processes))

    def collect(self, begun: BegunServer, traffic: Traffic, elsewhere: int) -> StoppedServer:
        """Of a server that has been stopped. ``elsewhere`` is how many requests its app doesn't count."""
        counts = read_counts(self.host, begun.deployment)
        log = log_tail(self.host) if begun.balanced is None else logs_of(self.host, begun.names)
        return StoppedServer(
            ServerEvidence(
                host=self.host.host.name,
                version=begun.deployment.version,
                command=begun.running.command,
                pids=begun.running.worker_pids,
                configuration=begun.running.configuration,
                requests=traffic.count_by_app(counts.totals, elsewhere),
                seen=begun.running.seen,
                log_lines=lines_grown(log, begun.running.seen),
                answering=counts.answering,
                worker_requests=counts.by_worker,
                balancer=None if begun.balanced is None else _evidence(begun.balanced.balancer),
            ),
            log.text,
        )


def _ended(name: str, status: int, log: str) -> ServerStartError:
    return ServerStartError(
        f"{name} ended in mid-run with status {status}", remedy="The end of its log follows", detail=log
    )


def _evidence(balancer: RunningBalancer) -> BalancerEvidence:
    behind = balancer.behind
    return BalancerEvidence(
        name=behind.name,
        version=version_in(behind.program.version),
        configuration=balancer.configuration,
        is_apart=behind.cores.is_apart,
        is_pushed=bool(behind.program.package),
    )


def _deployment(
    host: GuardedHost,
    spec: ServerSpec,
    provisioned: Provisioned,
    port: int,
    cores: tuple[int, ...] | None,
    database_url: str,
) -> Deployment:
    environment = provisioned.environments[spec.group]
    return Deployment(
        spec=spec,
        version=environment.versions[spec.package],
        program_directory=f"{environment.directory}/bin",
        app_directory=str(provisioned.shipped),
        python=provisioned.environments[TOOLS_GROUP].python,
        bind=host.host.bind or host.host.address,
        port=port,
        workers=1,
        cores=cores,
        database_url=database_url,
    )
