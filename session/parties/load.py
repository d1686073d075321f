"""The load: Locust's master on the controller and the load workers, in the way that a cell asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import msgspec

from bench.clients import Client, client_of
from bench.errors import AsgibenchError, LoadError
from bench.plan.placement import Placement, place_on_server
from bench.plan.plan import Plan
from bench.plan.rate import OfferedRate
from bench.results.cell import Cell
from bench.results.evidence import LoadEvidence
from bench.results.invariants import ReadSpool, contradictions, cut_seconds, window_contradictions
from bench.results.latency import latency_of
from bench.results.reached import tls_use
from bench.spec import LoadPlace, Profile
from bench.wire.load import LoadSpec
from loadgen.cluster import (
    LoadCluster,
    LoadHost,
    OnSlice,
    load_program,
    spool_folder,
    start_cluster,
)
from loadgen.stats import StoppedRun, cut_window, open_loop_of, parse_spool, per_second
from remote.fleet import Fleet
from remote.guarded import GuardedHost
from remote.parallel import on_all
from remote.provision.provision import Provisioned

LOAD_GROUP = "load"

Way = tuple[Client, LoadPlace]
"""What sends the requests, and where it runs."""


class LoadSetup(msgspec.Struct, frozen=True):
    """One way of making the load."""

    placement: Placement  # of everything that runs meanwhile
    hosts: tuple[LoadHost, ...]


class LoadParty:
    """The load workers of one way at a time; those of another way are started in their place."""

    def __init__(self, setups: Mapping[Way, LoadSetup], way: Way, cluster: LoadCluster) -> None:
        self._setups = setups
        self._way = way
        self._cluster = cluster
        self.is_up = True

    @classmethod
    def start(
        cls,
        controller: GuardedHost,
        setups: Mapping[Way, LoadSetup],
        *,
        master_cores: tuple[int, ...] | None,
    ) -> LoadParty:
        """The load workers of the first of ``setups``. Raises LoadError."""
        way = next(iter(setups))
        cluster = start_cluster(controller, setups[way].hosts, master_cores=master_cores)
        return cls(setups, way, cluster)

    # -- between runs

    def is_ready_for(self, cell: Cell) -> bool:
        """Whether the load workers that make this cell's load are up."""
        return self.is_up and self._way == (cell.client, cell.load_on)

    def make_ready_for(self, cell: Cell) -> None:
        """End the load workers that are up, and start those that make this cell's load. Raises LoadError."""
        way: Way = (cell.client, cell.load_on)
        everywhere = () if self.is_up else [host for one in self._setups.values() for host in one.hosts]
        # A start that fails leaves none that could be used, and the next run tries again.
        self.is_up = False
        self._cluster = self._cluster.restart(self._setups[way].hosts, left_on=everywhere)
        self._way = way
        self.is_up = True

    def distrust(self) -> None:
        """After a failure of the load: other load workers are started before the next run."""
        self.is_up = False

    @property
    def placement(self) -> Placement:
        """Where everything runs while these load workers make the load."""
        return self._setups[self._way].placement

    @property
    def hosts(self) -> tuple[LoadHost, ...]:
        return self._cluster.hosts

    @property
    def worker_hosts(self) -> dict[str, str]:
        """{load worker: its host}"""
        return self._cluster.worker_hosts

    def targets(self) -> dict[str, dict[str, int]]:
        """{host: {process name: pid}} of all load workers."""
        return self._cluster.worker_pids()

    # -- a run

    def begin(self, label: str, spec: LoadSpec, connections: int, on_slice: OnSlice) -> None:
        """Returns when all connections are there. Raises LoadError."""
        self._cluster.start_run(label, spec, connections, on_slice)

    def check(self) -> None:
        """Raises LoadError if a worker was lost or an engine failed since the last look."""
        self._cluster.check_running()

    def stop(self) -> StoppedRun:
        """Returns when every worker's totals are in. Raises LoadError."""
        return self._cluster.stop_run()

    def abandon(self) -> None:
        """After a failure: see that no worker sends any more."""
        with contextlib.suppress(AsgibenchError):
            self._cluster.abort_run()

    def collect(
        self,
        label: str,
        stopped: StoppedRun,
        profile: Profile,
        rate: OfferedRate | None,
        ended_after_seconds: int | None,
    ) -> LoadEvidence:
        """Cut to the window of ``profile``. ``rate`` is what was offered in open loop. Raises LoadError.

        ``ended_after_seconds``: of a load whose rate could not be met; its window showed that.
        """
        spools = self._read_spools(label)
        try:
            return self._evidence(label, stopped, spools, profile, rate, ended_after_seconds)
        except ValueError as error:
            raise LoadError(
                f"a load worker's figures are damaged: {error}",
                remedy="See whether its host is sound",
            ) from error

    def _evidence(
        self,
        label: str,
        stopped: StoppedRun,
        spools: Mapping[str, ReadSpool],
        profile: Profile,
        rate: OfferedRate | None,
        ended_after_seconds: int | None,
    ) -> LoadEvidence:
        """Raises ValueError for a histogram that can be none."""
        window = cut_window(
            stopped.slices,
            self._cluster.worker_hosts,
            warmup_seconds=profile.warmup_seconds,
            window_seconds=profile.window_seconds,
        )
        seconds = per_second(
            stopped.slices, warmup_seconds=profile.warmup_seconds, window_seconds=profile.window_seconds
        )
        first = profile.warmup_seconds
        answered = sum(one.answered for one in stopped.totals.values())
        return LoadEvidence(
            window=window,
            latency=latency_of(window.histogram, window.waited),
            seconds=seconds,
            engine_requests=answered,
            in_flight_at_stop=sum(one.in_flight_at_stop for one in stopped.totals.values()),
            locust_requests=stopped.locust.requests,
            spool_requests=sum(one.totals.answered for one in spools.values()),
            open_loop=None if rate is None else open_loop_of(window, rate, ended_after_seconds),
            tls=tls_use(stopped.totals.values()),
            contradictions=(
                *contradictions(label, stopped.slices, stopped.totals, spools),
                *cut_seconds(stopped.slices, range(first, first + profile.window_seconds)),
                *window_contradictions(window, seconds, answered),
            ),
        )

    def _read_spools(self, label: str) -> dict[str, ReadSpool]:
        """The load workers' own files by worker; the files are removed. Raises LoadError."""

        def read_one(host: LoadHost) -> dict[str, ReadSpool]:
            found = {}
            for index, name in enumerate(host.worker_names):
                path = f"{spool_folder(index)}/{label}.jsonl"
                try:
                    found[name] = parse_spool(host.guarded.read(path))
                except msgspec.MsgspecError as error:
                    raise LoadError(
                        f"{host.guarded.host.name}: the load worker's file {path} is damaged",
                        remedy="See that its disk isn't full",
                    ) from error
                host.guarded.remove(path)
            return found

        by_host = on_all(read_one, self.hosts, lambda host: host.guarded.host.name)
        return {worker: spool for found in by_host.values() for worker, spool in found.items()}


def _program_variables(client: Client, provisioned: Provisioned) -> dict[str, str]:
    """Where a client finds what it drives: loadgen/onhost/ says how each is named."""
    program = client_of(client).program
    if program is None:
        return {}
    found, name = provisioned.programs[program.name], f"ASGIBENCH_{program.name.upper()}"
    return {name: found.path, f"{name}_LIBRARIES": found.libraries}


def load_setups(
    fleet: Fleet, plan: Plan, provisioned: Mapping[str, Provisioned], usual: Placement
) -> dict[Way, LoadSetup]:
    """Every way of making the load that the plan has, in the order of its runs.

    ``usual`` is where everything runs with the load on the load hosts.
    """
    ways = dict.fromkeys((run.cell.client, run.cell.load_on) for run in plan.runs)
    workers = plan.profile.load_workers_in_all or plan.profile.load_workers
    facts = {name: one.facts for name, one in fleet.hosts.items()}
    found: dict[Way, LoadSetup] = {}
    for client, load_on in ways:
        placement = usual
        if load_on == "server":
            count = workers or len(facts[fleet.server.host.name].cores_usable)
            placement = place_on_server(usual, fleet.inventory, facts, count)
        program = load_program(client, None if plan.locustfile is None else plan.locustfile.name)
        hosts = tuple(
            LoadHost(
                guarded=fleet.hosts[name],
                program_directory=f"{provisioned[name].environments[LOAD_GROUP].directory}/bin",
                shipped_directory=str(provisioned[name].shipped),
                worker_cores=cores,
                program=program,
                any_core=placement.server if load_on == "server" else None,
                variables=_program_variables(client, provisioned[name]),
            )
            for name, cores in placement.load.items()
        )
        found[client, load_on] = LoadSetup(placement, hosts)
    return found
