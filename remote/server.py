"""The measured server on its host: started, proven ready, its answers taken, stopped."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from bench.catalogue.command import APP, command_of, config_text
from bench.errors import AnswersDiffer, HostUnsuitable, PortTaken, ServerStartError, SettingsContradicted
from bench.results.proof import contradictions
from bench.results.prove import prove
from bench.spec import USUAL_SERVING, Endpoint, ServerSpec, Serving
from bench.wire.answers import AnswerRequest, ReadyOrder, ServerReady, TakenAnswer
from bench.wire.codec import encode_line
from bench.wire.guard import FileTail, ProcessExit
from bench.wire.observation import Configuration, ServerSeen
from remote.certificate import Certificate, make_certificate
from remote.guard_link import GuardRefusal
from remote.guarded import GuardedHost
from remote.provision.ship import shipped_program

READY_SECONDS = 30.0
STOP_GRACE_SECONDS = 10.0
LOG_TAIL_BYTES = 3_000
PROCESS_NAME = "server"
COUNTS = "server/counts"
CONFIG = "server/config.toml"
CERTIFICATE = "server/certificate.pem"
KEY = "server/key.pem"
SOCKET = "server/socket"
MOST_SOCKET_BYTES = 100
"""Of a Unix socket's path: the kernel takes 107 on Linux, 103 on macOS."""
PROCESS_PATH = "/api/process"


class Deployment(msgspec.Struct, frozen=True):
    """What it takes to start one server: spec, environment, place, and the app with its database."""

    spec: ServerSpec
    version: str
    program_directory: str  # the environment's folder of programs
    app_directory: str  # our own files on the host
    python: str  # what runs our own programs
    bind: str  # the address to listen on
    port: int
    workers: int
    cores: tuple[int, ...] | None  # the CPU numbers to pin it to; None: all
    database_url: str  # has a password in it
    serving: Serving = USUAL_SERVING
    # An ASGI app, module:attribute, below ``app_directory``. It answers GET /api/process with JSON that has
    # its process number as ``pid``; testapp.process.describe_process makes all that is proven.
    app: str = APP
    socket: str = ""  # the absolute path of its Unix socket; "": one in the work folder
    certificate: Certificate | None = None  # with TLS; None: one is made at the start
    # Its process's, by the guard: of several processes of one server each has one.
    name: str = PROCESS_NAME


class FirstRequest(msgspec.Struct, frozen=True):
    """One request of an endpoint, asked once before any load, and its right answer."""

    endpoint: Endpoint
    headers: dict[str, str]
    body: bytes
    status: int
    right_body: bytes


class RunningServer(msgspec.Struct, frozen=True):
    """A server that has proven ready."""

    pid: int  # its leader's
    command: tuple[str, ...]
    worker_pids: tuple[int, ...]
    # What one of its processes says of itself, as it is kept in the results.
    configuration: Configuration
    seen: ServerSeen  # what it was seen to do
    answers: dict[str, TakenAnswer]  # by endpoint
    ready_seconds: float  # how long it took to become ready


def server_command(deployment: Deployment, workdir: str) -> tuple[str, ...]:
    """The exact argument vector."""
    return command_of(
        deployment.spec,
        host=deployment.bind,
        port=deployment.port,
        workers=deployment.workers,
        config_path=f"{workdir}/{_config_of(deployment.name)}",
        program_directory=deployment.program_directory,
        serving=deployment.serving,
        app=deployment.app,
        certificate=certificate_path(deployment, workdir),
        key=f"{workdir}/{KEY}",
        socket=socket_path(deployment, workdir),
    )


def socket_path(deployment: Deployment, workdir: str) -> str:
    """Of the Unix socket that the server listens on; "" where it listens on a port."""
    if deployment.serving.transport != "unix":
        return ""
    return deployment.socket or f"{workdir}/{SOCKET}"


def certificate_path(deployment: Deployment, workdir: str) -> str:
    """Of the server's certificate on its host, which clients there may trust; "" without TLS."""
    return f"{workdir}/{CERTIFICATE}" if deployment.serving.transport == "tls" else ""


def log_of(name: str) -> str:
    """Of a process of a server's, by its name: below the work folder."""
    return f"server/{name}.log"


def _config_of(name: str) -> str:
    return CONFIG if name == PROCESS_NAME else f"server/{name}.toml"


def start_server(
    host: GuardedHost,
    deployment: Deployment,
    requests: Sequence[FirstRequest],
) -> RunningServer:
    """Start, wait until every worker answers, take one answer for each of ``requests``.

    Raises UsageError for what it can't serve, PortTaken if anything is there before, ServerStartError with
    the log's tail if it does not become ready; then nothing of it is left running.
    """
    empty_counts(host)
    return start_process(host, deployment, requests)


def empty_counts(host: GuardedHost) -> None:
    """No process has counted an answer yet."""
    host.remove(COUNTS)
    host.write(f"{COUNTS}/.keep", b"")


def start_process(
    host: GuardedHost, deployment: Deployment, requests: Sequence[FirstRequest]
) -> RunningServer:
    """As ``start_server``, beside other processes of the same server: their counts stay."""
    command = server_command(deployment, host.workdir)
    check_place(host, deployment)
    host.remove(log_of(deployment.name))
    _write_files(host, deployment)
    try:
        pid = host.start(
            deployment.name,
            command,
            log=log_of(deployment.name),
            cwd=deployment.app_directory,
            env=_environment(host, deployment),
            cores=deployment.cores,
        )
    except GuardRefusal as refusal:
        raise ServerStartError(
            f"{deployment.spec.name} could not be started on {refusal.message}",
            remedy="Run `./invoke hosts.clean` for that host and try again",
        ) from refusal
    try:
        readiness = await_ready(host, deployment, pid, requests, log=log_of(deployment.name))
        seen = _seen(host, deployment, readiness)
    except BaseException:
        stop_server(host, deployment.name)
        raise
    return RunningServer(
        pid=pid,
        command=command,
        worker_pids=readiness.pids,
        configuration=readiness.configuration,
        seen=seen,
        answers=readiness.answers,
        ready_seconds=readiness.seconds,
    )


def check_place(host: GuardedHost, deployment: Deployment) -> None:
    """Nothing listens there yet, and the server can. Raises PortTaken, HostUnsuitable."""
    path = socket_path(deployment, host.workdir)
    if path:
        if len(path.encode()) > MOST_SOCKET_BYTES:
            raise HostUnsuitable(
                f"{host.host.name}: {path} is too long for a Unix socket",
                remedy="Give the host a shorter work folder with asgibench_workdir",
            )
        if not deployment.socket:
            host.remove(SOCKET)
        return
    problem = host.port_problem(deployment.bind, deployment.port)
    if problem is not None:
        kind = PortTaken if problem.kind == "taken" else HostUnsuitable
        place = f"{deployment.bind}:{deployment.port}"
        raise kind(f"{host.host.name}: {problem.on(place)}", remedy=problem.remedy)


def _write_files(host: GuardedHost, deployment: Deployment) -> None:
    """The server's configuration, certificate and key, where it takes any; readable by its user alone."""
    config = config_text(
        deployment.spec,
        host=deployment.bind,
        port=deployment.port,
        workers=deployment.workers,
        serving=deployment.serving,
        app=deployment.app,
        certificate=certificate_path(deployment, host.workdir),
        key=f"{host.workdir}/{KEY}",
        socket=socket_path(deployment, host.workdir),
    )
    if config:
        host.write(_config_of(deployment.name), config.encode())
    if deployment.serving.transport == "tls":
        made = deployment.certificate or make_certificate([host.host.address, deployment.bind])
        host.write(CERTIFICATE, made.certificate)
        host.write(KEY, made.key)


def stop_server(host: GuardedHost, name: str = PROCESS_NAME) -> ProcessExit:
    """SIGTERM, patience, then the whole family. Returns when no process of it is left."""
    return host.stop(name, grace_seconds=STOP_GRACE_SECONDS)


class AppCounts(msgspec.Struct, frozen=True):
    """Requests answered since the server's start, as the app's own processes counted them."""

    by_process: dict[str, dict[str, int]]  # {process number: {endpoint: answers}}

    @property
    def totals(self) -> dict[str, int]:
        """By endpoint."""
        found: dict[str, int] = {}
        for counts in self.by_process.values():
            for endpoint, count in counts.items():
                found[endpoint] = found.get(endpoint, 0) + count
        return found

    @property
    def by_worker(self) -> tuple[int, ...]:
        """All answers of each process that has given any, the most first."""
        return tuple(sorted(total for one in self.by_process.values() if (total := sum(one.values())))[::-1])

    @property
    def answering(self) -> int:
        """How many processes have answered anything."""
        return sum(any(counts.values()) for counts in self.by_process.values())


def read_counts(host: GuardedHost, deployment: Deployment) -> AppCounts:
    done = host.run(
        [deployment.python, "-m", "testapp.counts", f"{host.workdir}/{COUNTS}", "--by-process"],
        cwd=deployment.app_directory,
    )
    return AppCounts(msgspec.json.decode(done.stdout, type=dict[str, dict[str, int]]))


def log_tail(host: GuardedHost, name: str = PROCESS_NAME) -> FileTail:
    return host.tail_of(log_of(name), LOG_TAIL_BYTES)


def lines_grown(log: FileTail, seen: ServerSeen) -> int:
    """How many lines a log has grown by since the server was ready, by the length of those at its end."""
    lines = log.text.count("\n")
    if not lines:
        return 0
    return round((log.file_bytes - seen.log_bytes) * lines / len(log.text.encode()))


def check_settings(deployment: Deployment, running: RunningServer) -> None:
    """Raises SettingsContradicted, naming each setting that the running server does otherwise."""
    found = contradictions(
        prove(deployment.spec, deployment.workers, running.seen, serving=deployment.serving)
    )
    if found:
        count = f"{deployment.workers} worker{'' if deployment.workers == 1 else 's'}"
        raise SettingsContradicted(
            f"{deployment.spec.name} with {count} doesn't run as its settings ask: "
            + "; ".join(one.text for one in found),
            remedy="Correct its command in the catalogue, or say in unhonoured_settings what it does instead",
        )


def check_answers(answers: Mapping[str, Mapping[str, TakenAnswer]], requests: Sequence[FirstRequest]) -> None:
    """Every server's answers against the right ones.

    ``answers`` is {server: {endpoint: TakenAnswer}}; an endpoint that a server doesn't serve is left out.
    Raises AnswersDiffer naming the server and the field.
    """
    for request in requests:
        for server, found in answers.items():
            if request.endpoint.name in found:
                _check_answer(server, request, found[request.endpoint.name])


def _check_answer(server: str, request: FirstRequest, answer: TakenAnswer) -> None:
    is_message = request.endpoint.protocol == "websocket"  # which has no headers
    right = TakenAnswer(
        status=request.status,
        content_type=request.endpoint.content_type,
        content_length="" if is_message else str(len(request.right_body)),
        length=len(request.right_body),
        sha256=hashlib.sha256(request.right_body).hexdigest(),
    )
    for field in ("status", "content_type", "length", "content_length", "sha256"):
        mine, theirs = getattr(right, field), getattr(answer, field)
        if mine != theirs:
            raise AnswersDiffer(
                f"{request.endpoint.path}: {server} answers with {field} {theirs!r}, not {mine!r}",
                remedy="Servers that answer differently can't be compared; leave one out with --servers",
            )


def _environment(host: GuardedHost, deployment: Deployment) -> dict[str, str]:
    return {
        "PATH": f"{deployment.program_directory}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": deployment.app_directory,
        "PYTHONUNBUFFERED": "1",
        "ASGIBENCH_COUNTS": f"{host.workdir}/{COUNTS}",
        "ASGIBENCH_DATABASE_URL": deployment.database_url,
        "ASGIBENCH_ACCESS_LOGGER": deployment.spec.access_logger,
        **deployment.spec.environment_variables,
    }


def await_ready(
    host: GuardedHost,
    deployment: Deployment,
    pid: int,
    requests: Sequence[FirstRequest],
    *,
    log: str,
) -> ServerReady:
    """As many processes as the server has workers have answered at its place, for as long as ``pid`` runs.

    ``log`` is where the output of ``pid`` goes, below the work folder.
    """
    order = ReadyOrder(
        address=_probe_address(deployment.bind),
        port=deployment.port,
        pid=pid,
        workers=deployment.workers,
        deadline_seconds=READY_SECONDS,
        process_path=PROCESS_PATH,
        log_path=f"{host.workdir}/{log}",
        requests=tuple(
            AnswerRequest(
                one.endpoint.name,
                one.endpoint.path,
                one.endpoint.method,
                one.headers,
                base64.b64encode(one.body).decode(),
                one.endpoint.protocol,
            )
            for one in requests
        ),
        socket=socket_path(deployment, host.workdir),
        certificate=certificate_path(deployment, host.workdir),
    )
    argv, env = shipped_program(deployment.python, deployment.app_directory, "remote.onhost.answers")
    done = host.run(argv, env=env, stdin=encode_line(order), timeout_seconds=READY_SECONDS + 15)
    return msgspec.json.decode(done.stdout, type=ServerReady)


def _seen(host: GuardedHost, deployment: Deployment, readiness: ServerReady) -> ServerSeen:
    """What the server was seen to do when it was ready. Raises ServerStartError if it isn't."""
    if not readiness.ready or readiness.seen is None:
        status = host.exit_status(deployment.name)
        ended = "" if status is None else f"; it ended with status {status}"
        tail = ""
        with contextlib.suppress(GuardRefusal):
            tail = log_tail(host, deployment.name).text
        raise ServerStartError(
            f"{deployment.spec.name} did not become ready on {host.host.name} within "
            f"{readiness.seconds:.0f} s ({readiness.problem}){ended}",
            remedy="The end of its log follows",
            detail=tail or "(its log is empty)",
        )
    return readiness.seen


def _probe_address(bind: str) -> str:
    """What the server's own host reaches it by: a wildcard through loopback."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)
