"""One load host's ceilings: the trivial server on one core, and on another the clients in turn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.clients import USUAL_CLIENT
from bench.environment.calibration import EndpointCeiling, HostCeiling, Round, endpoint_ceiling
from bench.errors import AsgibenchError
from loadgen.calibrate.clients.engine import by_engine
from loadgen.calibrate.clients.fast_http_user import by_fast_http_user
from loadgen.calibrate.clients.wrk import by_wrk
from loadgen.calibrate.origin import PROCESS_NAME, first_line, start_origin
from loadgen.calibrate.ready import HOME, Programs, ReadyHost
from loadgen.cluster import LoadHost, load_program, start_cluster
from remote.fleet import Fleet
from remote.guarded import GuardedHost
from remote.provision.provision import Provisioned, provision
from remote.provision.ship import travelling_files
from testapp.workload import Workload

LOAD_GROUP = "load"
STOP_GRACE_SECONDS = 3.0
# A login without a terminal often lacks these.
FIND_PROGRAM = 'PATH=$PATH:/usr/local/sbin:/usr/sbin:/usr/local/bin:/opt/homebrew/bin; command -v "$1"'

Report = Callable[[str], None]


def calibrate_host(
    fleet: Fleet,
    guarded: GuardedHost,
    workloads: Sequence[Workload],
    report: Report,
    *,
    root: Path,
    rounds: int,
    window_seconds: int,
    programs: Programs | None = None,
) -> HostCeiling:
    """One host's ceilings; its processes are stopped again. ``programs`` None: what the host has."""
    name = guarded.host.name
    provisioned = provision(
        guarded,
        guarded.facts,
        [LOAD_GROUP],
        root=root,
        files=travelling_files(),
        report=lambda text: report(f"{name}: {text}"),
    )
    found = programs or find_programs(guarded)
    with _made_ready(fleet, guarded, provisioned, found, window_seconds) as host:
        ceilings = {one.name: _measure(host, one, rounds, report) for one in workloads}
        return _host_ceiling(host, ceilings)


def find_programs(guarded: GuardedHost) -> Programs:
    return Programs(nginx=_find(guarded, "nginx"), wrk=_find(guarded, "wrk"))


def _find(guarded: GuardedHost, program: str) -> str | None:
    done = guarded.run(["sh", "-c", FIND_PROGRAM, "sh", program], check=False)
    return done.stdout.decode().strip() or None


@contextlib.contextmanager
def _made_ready(
    fleet: Fleet,
    guarded: GuardedHost,
    provisioned: Provisioned,
    programs: Programs,
    window_seconds: int,
) -> Iterator[ReadyHost]:
    origin_core, client_core = _cores(guarded)
    environment = provisioned.environments[LOAD_GROUP]
    shipped = str(provisioned.shipped)
    program = load_program(USUAL_CLIENT, None)
    load_host = LoadHost(guarded, f"{environment.directory}/bin", shipped, (client_core,), program)
    guarded.write(f"{HOME}/.keep", b"")
    with contextlib.ExitStack() as started:
        started.callback(_stop, guarded, PROCESS_NAME)
        origin = start_origin(guarded, environment.python, shipped, programs, origin_core)
        started.callback(_stop, fleet.controller, "load-master")
        started.callback(_stop, guarded, "load-0")
        master_cores = _master_cores(fleet, guarded, client_core)
        cluster = start_cluster(fleet.controller, [load_host], master_cores=master_cores)
        started.callback(cluster.close)
        yield ReadyHost(
            guarded=guarded,
            environment=environment,
            shipped_directory=shipped,
            programs=programs,
            origin=origin,
            cluster=cluster,
            core=client_core,
            clock_offset_seconds=guarded.read_clocks().monotonic_offset,
            window_seconds=window_seconds,
        )


def _stop(guarded: GuardedHost, name: str) -> None:
    # Either it was not started, or its guard has gone and what ran with it.
    with contextlib.suppress(AsgibenchError):
        guarded.stop(name, grace_seconds=STOP_GRACE_SECONDS)


def _usable_cores(guarded: GuardedHost) -> tuple[int, ...]:
    usable = guarded.facts.cores_usable
    wanted = guarded.host.cores or usable
    return tuple(core for core in wanted if core in usable) or usable


def _cores(guarded: GuardedHost) -> tuple[int | None, int | None]:
    """The server's core and the client's."""
    if not guarded.facts.can_pin:
        return None, None
    cores = _usable_cores(guarded)
    return cores[0], cores[-1]


def _master_cores(fleet: Fleet, guarded: GuardedHost, client_core: int | None) -> tuple[int, ...] | None:
    """Where Locust's master disturbs the client least."""
    if fleet.inventory.controller_cores is not None or not guarded.host.is_local or client_core is None:
        return fleet.inventory.controller_cores
    return tuple(core for core in _usable_cores(guarded) if core != client_core) or None


def _measure(host: ReadyHost, workload: Workload, rounds: int, report: Report) -> EndpointCeiling:
    """The clients take turns in every round, so that a machine that drifts does so for all."""
    measured = []
    for number in range(rounds):
        report(f"{host.guarded.host.name}: {workload.name}, round {number + 1} of {rounds}")
        wrk = host.programs.wrk
        measured.append(
            Round(
                engine=by_engine(host, workload, f"ceiling-{workload.name}-{number}"),
                wrk=None if wrk is None else by_wrk(host, workload, wrk),
                fast_http_user=by_fast_http_user(host, workload),
            )
        )
    return endpoint_ceiling(measured)


def _host_ceiling(host: ReadyHost, ceilings: dict[str, EndpointCeiling]) -> HostCeiling:
    facts = host.guarded.facts
    versions = {"locust": host.environment.versions["locust"], "python": facts.python_version}
    if host.programs.wrk is not None:
        versions["wrk"] = first_line(host.guarded, [host.programs.wrk, "-v"]).partition(" [")[0]
    return HostCeiling(
        boot_id=facts.boot_id,
        cpu_model=facts.cpu_model,
        cores_usable=facts.cores_usable,
        system=facts.system,
        release=facts.release,
        architecture=facts.architecture,
        versions=versions,
        origin=host.origin.title,
        origin_core=host.origin.core,
        client_core=host.core,
        notes=_notes(host),
        endpoints=ceilings,
    )


def _notes(host: ReadyHost) -> tuple[str, ...]:
    origin, core = host.origin, host.core
    if core is None:
        notes = [f"{origin.title} answers; nothing is pinned: this system can't"]
    elif core == origin.core:
        notes = [
            f"{origin.title} answers; it and the client share core {core}, the only one: the figures are too "
            "high for a server elsewhere (docs/calibrate.md)"
        ]
    else:
        notes = [f"{origin.title} answers on core {origin.core}, the client has core {core}"]
    if host.programs.wrk is None:
        notes.append("no wrk: it isn't on the host's PATH")
    return tuple(notes)
