"""Each load host's ceiling: what one of its cores can ask for, of a server that costs next to nothing.

The hosts go one after the other. On each a trivial server runs on one core (nginx where the host has it, else
ceiling_server.py), and on another core the clients take turns: our engine under the real distribution, wrk
where the host has it, and Locust's FastHttpUser.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.environment.calibration import (
    CALIBRATION_VERSION,
    Calibration,
    ClientFigure,
    EndpointCeiling,
    HostCeiling,
    Round,
    client_figure,
    endpoint_ceiling,
    save_calibration,
    write_json,
)
from bench.environment.hosts import Inventory
from bench.errors import AsgibenchError, LoadError, ServerStartError, SeveralHostsFailed, UsageError
from bench.spec import ENDPOINTS, Endpoint
from bench.wire.load import Expect, LoadSpec, Rotate
from inventory.read import read_inventory
from loadgen.cluster import Cluster, LoadHost, start_cluster
from loadgen.stats import StoppedRun, cut_window
from remote.fleet import Fleet, open_fleet
from remote.guarded import GuardedHost, GuardRefusal, new_session
from remote.provision.provision import Environment, Provisioned, provision
from remote.provision.ship import travelling_files
from remote.ssh.ask import terminal
from testapp.data import LONG_BODY, SHORT_BODY, expected_body, tokens

LOAD_GROUP = "load"
CONNECTIONS = 50
WARMUP_SECONDS = 1
WINDOW_SECONDS = 2
ROUNDS = 3
MOST_ROUNDS = 20
EPOCH_LEAD_SECONDS = 0.1
WATCH_SECONDS = 0.1
READY_SECONDS = 10.0
CLIENT_PATIENCE_SECONDS = 60.0
STOP_GRACE_SECONDS = 3.0
REQUEST_TIMEOUT_SECONDS = 10
HASH_SAMPLE_EVERY = 1_000
SEED = 1
ADDRESS = "127.0.0.1"
FOLDER = "calibrate"
HOME = f"{FOLDER}/home"
BODIES = f"{FOLDER}/html"
ORIGIN = "ceiling-server"
ORIGIN_LOG = f"{FOLDER}/server.log"
FIGURE = f"{FOLDER}/fast-http-user.json"
ONHOST = "loadgen/onhost/calibration"
# A login without a terminal often lacks these.
FIND_PROGRAM = 'PATH=$PATH:/usr/local/sbin:/usr/sbin:/usr/local/bin:/opt/homebrew/bin; command -v "$1"'
WITH_CPU = (
    "import resource, subprocess, sys; status = subprocess.run(sys.argv[1:]).returncode; "
    "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime); "
    "sys.exit(status)"
)
NGINX_CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type "text/plain; charset=utf-8";
    sendfile on;
    keepalive_requests 1000000000;
    open_file_cache max=16;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    server {{
        listen {address}:{port} backlog=4096;
        root {root};
        location = /api/orders {{ default_type application/json; }}
    }}
}}
"""

Report = Callable[[str], None]


class CalibrateRequest(msgspec.Struct, frozen=True):
    """What the user asked for. Empty ``endpoints``: all."""

    root: Path
    hosts: str = "local"
    endpoints: tuple[str, ...] = ()
    json_file: Path | None = None
    results: Path | None = None
    rounds: int = ROUNDS
    window_seconds: int = WINDOW_SECONDS

    @property
    def results_root(self) -> Path:
        return self.results or self.root / "results"


class Calibrated(msgspec.Struct, frozen=True):
    """``calibration`` has the hosts that could be measured; ``error`` is what the others came to, or None."""

    calibration: Calibration
    error: AsgibenchError | None


class Programs(msgspec.Struct, frozen=True):
    """Paths on a host; None where it hasn't the program."""

    nginx: str | None
    wrk: str | None


class Origin(msgspec.Struct, frozen=True):
    """The trivial server that answers."""

    title: str
    port: int
    core: int | None


class Bench(msgspec.Struct, frozen=True):
    """A load host made ready: all that a measurement needs. Each client runs on ``core`` (None: any)."""

    guarded: GuardedHost
    environment: Environment
    shipped_directory: str
    programs: Programs
    origin: Origin
    cluster: Cluster
    core: int | None
    clock_offset_seconds: float
    window_seconds: int

    @property
    def cores(self) -> tuple[int, ...] | None:
        return None if self.core is None else (self.core,)


def calibrate(request: CalibrateRequest, report: Report) -> Calibrated:
    """Measure every load host, one after the other, and save the ceilings; nothing is left running.

    A host that fails doesn't cost the others theirs. Raises UsageError, InventoryError, what connecting
    raises, and the hosts' failure where none could be measured.
    """
    endpoints = _endpoints(request.endpoints)
    if not 1 <= request.rounds <= MOST_ROUNDS:
        raise UsageError(f"{request.rounds} rounds", remedy=f"give 1 to {MOST_ROUNDS}")
    inventory = read_inventory(request.hosts, root=request.root)
    hosts: dict[str, HostCeiling] = {}
    failures: list[tuple[str, AsgibenchError]] = []
    with _holding(inventory, report) as fleet:
        for guarded in fleet.loadgen:
            name = guarded.host.name
            try:
                hosts[name] = calibrate_host(fleet, guarded, request, endpoints, report)
            except AsgibenchError as error:
                report(f"{name}: {error}")
                failures.append((name, error))
    failure = _failure(failures)
    if not hosts and failure is not None:
        raise failure
    calibration = Calibration(
        version=CALIBRATION_VERSION,
        environment=inventory.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        asgibench_version=_version(request.root),
        connections=CONNECTIONS,
        window_seconds=request.window_seconds,
        hosts=hosts,
    )
    report(f"saved in {save_calibration(request.results_root, calibration)}")
    if request.json_file is not None:
        write_json(request.json_file, calibration.rates)
    return Calibrated(calibration, failure)


def _failure(failures: Sequence[tuple[str, AsgibenchError]]) -> AsgibenchError | None:
    """None, the one as it is, or all of them together."""
    if len(failures) > 1:
        return SeveralHostsFailed(failures)
    return failures[0][1] if failures else None


def bodies() -> dict[str, bytes]:
    """What the trivial server answers, by endpoint: the test app's own bodies, orders always one user's."""
    return {"shortbody": SHORT_BODY, "longbody": LONG_BODY, "orders": expected_body(SEED, 0)}


@contextlib.contextmanager
def _holding(inventory: Inventory, report: Report) -> Iterator[Fleet]:
    """The load hosts, and this machine; the server's host isn't touched."""
    load_hosts = msgspec.structs.replace(inventory, server=inventory.loadgen[0], database=None)
    fleet = open_fleet(load_hosts, new_session("calibrate"), report=report, ask=terminal())
    try:
        yield fleet
    finally:
        for host, failure in fleet.release().items():
            report(f"{host} could not be told to stop ({failure}); its guard stops everything by itself")


def _endpoints(names: Sequence[str]) -> tuple[Endpoint, ...]:
    known = {endpoint.name: endpoint for endpoint in ENDPOINTS}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no endpoint {name!r}", remedy=f"There are {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names or known))


def _version(root: Path) -> str:
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


# ---------------------------------------------------------------- a host


def calibrate_host(
    fleet: Fleet,
    guarded: GuardedHost,
    request: CalibrateRequest,
    endpoints: Sequence[Endpoint],
    report: Report,
    programs: Programs | None = None,
) -> HostCeiling:
    """One host's ceilings; its processes are stopped again. ``programs`` None: what the host has."""
    name = guarded.host.name
    provisioned = provision(
        guarded,
        guarded.facts,
        [LOAD_GROUP],
        root=request.root,
        files=travelling_files(),
        report=lambda text: report(f"{name}: {text}"),
    )
    found = programs or find_programs(guarded)
    with _bench(fleet, guarded, provisioned, found, request.window_seconds) as bench:
        ceilings = {
            endpoint.name: _measure_endpoint(bench, endpoint, request.rounds, report)
            for endpoint in endpoints
        }
        return _host_ceiling(bench, ceilings)


def find_programs(guarded: GuardedHost) -> Programs:
    return Programs(nginx=_find(guarded, "nginx"), wrk=_find(guarded, "wrk"))


def _find(guarded: GuardedHost, program: str) -> str | None:
    done = guarded.run(["sh", "-c", FIND_PROGRAM, "sh", program], check=False)
    return done.stdout.decode().strip() or None


@contextlib.contextmanager
def _bench(
    fleet: Fleet,
    guarded: GuardedHost,
    provisioned: Provisioned,
    programs: Programs,
    window_seconds: int,
) -> Iterator[Bench]:
    origin_core, client_core = _cores(guarded)
    environment = provisioned.environments[LOAD_GROUP]
    shipped = str(provisioned.shipped)
    load_host = LoadHost(guarded, f"{environment.directory}/bin", shipped, (client_core,))
    guarded.write(f"{HOME}/.keep", b"")
    with contextlib.ExitStack() as started:
        started.callback(_stop, guarded, ORIGIN)
        origin = start_origin(guarded, environment.python, shipped, programs, origin_core)
        started.callback(_stop, fleet.controller, "load-master")
        started.callback(_stop, guarded, "load-0")
        master_cores = _master_cores(fleet, guarded, client_core)
        cluster = start_cluster(fleet.controller, [load_host], master_cores=master_cores)
        started.callback(cluster.close)
        yield Bench(
            guarded=guarded,
            environment=environment,
            shipped_directory=shipped,
            programs=programs,
            origin=origin,
            cluster=cluster,
            core=client_core,
            clock_offset_seconds=guarded.clock_offset()[0],
            window_seconds=window_seconds,
        )


def _stop(guarded: GuardedHost, name: str) -> None:
    # Not started, or its guard has gone and what ran with it.
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


def _host_ceiling(bench: Bench, ceilings: dict[str, EndpointCeiling]) -> HostCeiling:
    facts = bench.guarded.facts
    versions = {"locust": bench.environment.versions["locust"], "python": facts.python_version}
    if bench.programs.wrk is not None:
        versions["wrk"] = _first_line(bench.guarded, [bench.programs.wrk, "-v"]).partition(" [")[0]
    return HostCeiling(
        boot_id=facts.boot_id,
        cpu_model=facts.cpu_model,
        cores_usable=facts.cores_usable,
        system=facts.system,
        release=facts.release,
        architecture=facts.architecture,
        versions=versions,
        origin=bench.origin.title,
        origin_core=bench.origin.core,
        client_core=bench.core,
        notes=_notes(bench),
        endpoints=ceilings,
    )


def _notes(bench: Bench) -> tuple[str, ...]:
    origin, core = bench.origin, bench.core
    if core is None:
        notes = [f"{origin.title} answers; nothing is pinned: this system can't"]
    elif core == origin.core:
        notes = [
            f"{origin.title} answers; it and the client share core {core}, the only one: the figures are too "
            "high for a server elsewhere (docs/calibrate.md)"
        ]
    else:
        notes = [f"{origin.title} answers on core {origin.core}, the client has core {core}"]
    if bench.programs.wrk is None:
        notes.append("no wrk: it isn't on the host's PATH")
    return tuple(notes)


# ---------------------------------------------------------------- the server that answers


def start_origin(
    guarded: GuardedHost, python: str, shipped_directory: str, programs: Programs, core: int | None
) -> Origin:
    """Start it and wait until it listens. Raises ServerStartError with the tail of its log."""
    for name, body in bodies().items():
        guarded.write(f"{BODIES}/api/{name}", body)
    guarded.remove(ORIGIN_LOG)
    port = guarded.free_port(ADDRESS)
    root = f"{guarded.workdir}/{BODIES}"
    if programs.nginx is None:
        title = "ceiling_server.py"
        script = f"{shipped_directory}/{ONHOST}/ceiling_server.py"
        command = [python, "-I", "-B", script, "--root", root, "--port", str(port)]
    else:
        title = _first_line(guarded, [programs.nginx, "-v"]).rpartition(" ")[2].replace("/", " ")
        command = [programs.nginx, *_nginx_words(guarded, root, port)]
    try:
        guarded.start(
            ORIGIN,
            command,
            log=ORIGIN_LOG,
            cwd=f"{guarded.workdir}/{HOME}",
            cores=None if core is None else (core,),
        )
    except GuardRefusal as refusal:
        raise ServerStartError(
            f"{title} could not be started on {refusal.message}",
            remedy="run `./invoke hosts.clean` for that host and try again",
        ) from refusal
    _await_listening(guarded, title, port)
    return Origin(title, port, core)


def _nginx_words(guarded: GuardedHost, root: str, port: int) -> list[str]:
    facts = guarded.facts
    user = ""
    if facts.is_root:
        # Else its worker were somebody who can't read our folder.
        user = "user root wheel;" if facts.system == "Darwin" else "user root;"
    folder = f"{guarded.workdir}/{FOLDER}"
    text = NGINX_CONFIGURATION.format(user=user, folder=folder, root=root, address=ADDRESS, port=port)
    guarded.write(f"{FOLDER}/nginx.conf", text.encode())
    return ["-p", folder, "-c", f"{folder}/nginx.conf"]


def _await_listening(guarded: GuardedHost, title: str, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not guarded.port_problem(ADDRESS, port):
        if time.monotonic() > deadline or guarded.exit_status(ORIGIN) is not None:
            raise ServerStartError(
                f"{title} did not listen on {guarded.host.name} within {READY_SECONDS:g} s",
                remedy="the end of its log follows",
                detail=guarded.tail(ORIGIN_LOG) or "(its log is empty)",
            )
        time.sleep(0.05)


def _first_line(guarded: GuardedHost, argv: Sequence[str]) -> str:
    done = guarded.run(argv, check=False)
    lines = (done.stdout + done.stderr).decode(errors="replace").splitlines()
    return lines[0].strip() if lines else ""


# ---------------------------------------------------------------- the clients


def _measure_endpoint(bench: Bench, endpoint: Endpoint, rounds: int, report: Report) -> EndpointCeiling:
    measured = []
    for number in range(rounds):
        report(f"{bench.guarded.host.name}: {endpoint.name}, round {number + 1} of {rounds}")
        measured.append(
            Round(
                engine=by_engine(bench, endpoint, f"ceiling-{endpoint.name}-{number}"),
                wrk=None if bench.programs.wrk is None else by_wrk(bench, endpoint, bench.programs.wrk),
                fast_http_user=by_fast_http_user(bench, endpoint),
            )
        )
    return endpoint_ceiling(measured)


def by_engine(bench: Bench, endpoint: Endpoint, run: str) -> ClientFigure:
    """Through master and worker, every answer checked. Raises LoadError."""
    epoch = time.time() + EPOCH_LEAD_SECONDS
    end = epoch + WARMUP_SECONDS + bench.window_seconds
    try:
        bench.cluster.start_run(run, _load_spec(bench, endpoint, epoch), CONNECTIONS, None)
        while time.time() < end:
            bench.cluster.check_running()
            time.sleep(min(WATCH_SECONDS, max(0.0, end - time.time())))
        stopped = bench.cluster.stop_run()
    except BaseException:
        with contextlib.suppress(AsgibenchError):
            bench.cluster.abort_run()
        raise
    return _engine_figure(bench, endpoint, stopped)


def _engine_figure(bench: Bench, endpoint: Endpoint, stopped: StoppedRun) -> ClientFigure:
    window = cut_window(
        stopped.slices,
        bench.cluster.worker_hosts,
        warmup_seconds=WARMUP_SECONDS,
        window_seconds=bench.window_seconds,
    )
    answered = sum(totals.answered for totals in stopped.totals.values())
    if window.failures or window.gaps or not window.requests or answered != stopped.locust.requests:
        raise _client_failed(
            bench,
            f"engine on {endpoint.name}",
            f"failures {window.failures}, seconds missing {window.gaps}, {window.requests} requests; "
            f"{answered} by the engine, {stopped.locust.requests} by Locust",
        )
    shares = sum(worker.engine_core_share + worker.locust_core_share for worker in window.workers)
    return client_figure(window.requests, window.seconds, shares * window.seconds)


def _load_spec(bench: Bench, endpoint: Endpoint, epoch: float) -> LoadSpec:
    """What a benchmark's run of the endpoint asks, tokens in rotation too."""
    body = bodies()[endpoint.name]
    rotate = None
    if endpoint.rotates_tokens:
        rotate = Rotate("Authorization", tokens(SEED), prefix="Bearer ")
    return LoadSpec(
        host=ADDRESS,
        port=bench.origin.port,
        path=endpoint.path,
        epoch=epoch,
        headers={"User-Agent": "asgibench", "Accept": "*/*"},
        rotate=rotate,
        expect=Expect(length=len(body), body_sha256=(hashlib.sha256(body).hexdigest(),)),
        hash_sample_every=HASH_SAMPLE_EVERY,
        timeout_seconds=REQUEST_TIMEOUT_SECONDS,
        clock_offsets=dict.fromkeys(bench.cluster.worker_hosts, bench.clock_offset_seconds),
    )


def by_wrk(bench: Bench, endpoint: Endpoint, program: str) -> ClientFigure:
    """One thread. Raises LoadError where an answer was none or not a good one."""
    url = f"http://{ADDRESS}:{bench.origin.port}{endpoint.path}"
    words = [program, "-t1", f"-c{CONNECTIONS}", f"-d{bench.window_seconds}s", url]
    done = bench.guarded.run(
        [bench.environment.python, "-I", "-c", WITH_CPU, *words],
        env={"LC_ALL": "C"},
        timeout_seconds=bench.window_seconds + CLIENT_PATIENCE_SECONDS,
        cores=bench.cores,
        check=False,
    )
    output = (done.stdout + done.stderr).decode(errors="replace")
    figure = parse_wrk(done.stdout.decode(errors="replace")) if done.exit_status == 0 else None
    if figure is None:
        raise _client_failed(bench, f"wrk on {endpoint.name}", output)
    return figure


def parse_wrk(output: str) -> ClientFigure | None:
    """wrk's report, and below it the CPU seconds it took; None where it tells of errors or of no request."""
    lines = [line.strip() for line in output.strip().splitlines()]
    if any(line.startswith(("Socket errors", "Non-2xx")) for line in lines):
        return None
    counted = next((line.split() for line in lines if " requests in " in line), None)
    if counted is None or int(counted[0]) == 0:
        return None
    return client_figure(int(counted[0]), float(counted[3].rstrip("s,")), float(lines[-1]))


def by_fast_http_user(bench: Bench, endpoint: Endpoint) -> ClientFigure:
    """One Locust process, which measures a window of its own once its users are there. Raises LoadError."""
    guarded = bench.guarded
    guarded.remove(FIGURE)
    limit_seconds = WARMUP_SECONDS + bench.window_seconds + CLIENT_PATIENCE_SECONDS
    done = guarded.run(
        [
            bench.environment.python,
            "-m",
            "locust",
            "-f",
            f"{bench.shipped_directory}/{ONHOST}/fast_http_user.py",
            *("--headless", "--only-summary", "-L", "ERROR", "--exit-code-on-error", "0"),
            *("-u", str(CONNECTIONS), "-r", str(CONNECTIONS), "-t", f"{limit_seconds:.0f}s"),
            *("-H", f"http://{ADDRESS}:{bench.origin.port}"),
        ],
        env={
            # No configuration file of the user's reaches Locust.
            "HOME": f"{guarded.workdir}/{HOME}",
            "ASGIBENCH_PATH": endpoint.path,
            "ASGIBENCH_WARMUP_SECONDS": str(WARMUP_SECONDS),
            "ASGIBENCH_WINDOW_SECONDS": str(bench.window_seconds),
            "ASGIBENCH_FIGURE": f"{guarded.workdir}/{FIGURE}",
        },
        cwd=f"{guarded.workdir}/{HOME}",
        timeout_seconds=limit_seconds + 10,
        cores=bench.cores,
        check=False,
    )
    client = f"FastHttpUser on {endpoint.name}"
    try:
        figure = msgspec.json.decode(guarded.read(FIGURE), type=dict[str, float])
    except GuardRefusal as refusal:
        output = (done.stdout + done.stderr).decode(errors="replace")
        raise _client_failed(bench, client, output[-4000:]) from refusal
    guarded.remove(FIGURE)
    if figure["failures"] or not figure["requests"]:
        raise _client_failed(bench, client, f"{figure['failures']:.0f} of {figure['requests']:.0f} failed")
    return client_figure(int(figure["requests"]), figure["seconds"], figure["cpu_seconds"])


def _client_failed(bench: Bench, client: str, detail: str) -> LoadError:
    return LoadError(
        f"{bench.guarded.host.name}: {client} could not be measured against {bench.origin.title}",
        remedy="its output follows; run the command again",
        detail="\n".join(filter(None, (detail, bench.guarded.tail(ORIGIN_LOG, 1_000)))),
    )
