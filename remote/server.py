"""The measured server on its host: started, proven ready, its answers taken, stopped."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench.catalogue.command import command_of, config_text
from bench.errors import AnswersDiffer, HostUnsuitable, PortTaken, ServerStartError
from bench.spec import Endpoint, ServerSpec
from remote.guarded import GuardedHost, GuardRefusal, ProcessExit

READY_SECONDS = 30.0
STOP_GRACE_SECONDS = 10.0
LOG_TAIL_BYTES = 3_000
PROCESS_NAME = "server"
LOG = "server/server.log"
COUNTS = "server/counts"
CONFIG = "server/config.toml"
PROCESS_PATH = "/api/process"


class Deployment(msgspec.Struct, frozen=True):
    """What it takes to start one server: spec, environment, place, and the app with its database.

    ``program_directory`` is the environment's bin folder; ``app_directory`` holds the folder testapp;
    ``answers_script`` is the shipped answers.py; ``python`` runs it.
    """

    spec: ServerSpec
    version: str
    program_directory: str
    app_directory: str
    answers_script: str
    python: str
    bind: str
    port: int
    workers: int
    cores: tuple[int, ...] | None
    database_url: str


class Answer(msgspec.Struct, frozen=True):
    """One endpoint's answer; ``content_length`` is the header as it came, "" if there was none."""

    status: int
    content_type: str
    content_length: str
    length: int
    sha256: str


class FirstRequest(msgspec.Struct, frozen=True):
    """One request of an endpoint, asked once before any load, and its right answer."""

    endpoint: Endpoint
    headers: dict[str, str]
    body: bytes
    status: int
    right_body: bytes


class RunningServer(msgspec.Struct, frozen=True):
    """A server that has proven ready. ``configuration`` is what its own process says of itself."""

    pid: int
    command: tuple[str, ...]
    worker_pids: tuple[int, ...]
    configuration: dict[str, Any]
    answers: dict[str, Answer]
    ready_seconds: float


class Readiness(msgspec.Struct, frozen=True):
    """What answers.py prints."""

    ready: bool
    seconds: float
    pids: tuple[int, ...]
    problem: str
    configuration: dict[str, Any]
    answers: dict[str, Answer]


def server_command(deployment: Deployment, workdir: str) -> tuple[str, ...]:
    """The exact argument vector."""
    return command_of(
        deployment.spec,
        host=deployment.bind,
        port=deployment.port,
        workers=deployment.workers,
        config_path=f"{workdir}/{CONFIG}",
        program_directory=deployment.program_directory,
    )


def start_server(
    host: GuardedHost,
    deployment: Deployment,
    requests: Sequence[FirstRequest],
) -> RunningServer:
    """Start, wait until every worker answers, take one answer for each of ``requests``.

    Raises PortTaken if anything is there before, ServerStartError with the log's tail if it does not
    become ready; then nothing of it is left running.
    """
    problem = host.port_problem(deployment.bind, deployment.port)
    if problem.startswith(("EADDRNOTAVAIL", "EACCES")):
        raise HostUnsuitable(
            f"{host.host.name}: a server can't listen on {deployment.bind}:{deployment.port} ({problem})",
            remedy="choose a port above 1023 with --port"
            if problem.startswith("EACCES")
            else "set asgibench_bind to an address of the machine's own; clients use asgibench_address",
        )
    if problem:
        raise PortTaken(
            f"{host.host.name}: {deployment.bind}:{deployment.port} is taken ({problem})",
            remedy="stop what listens there, or choose another port with --port",
        )
    host.remove(LOG)
    host.remove(COUNTS)
    host.write(f"{COUNTS}/.keep", b"")
    config = config_text(
        deployment.spec, host=deployment.bind, port=deployment.port, workers=deployment.workers
    )
    if config:
        host.write(CONFIG, config.encode())
    command = server_command(deployment, host.workdir)
    try:
        pid = host.start(
            PROCESS_NAME,
            command,
            log=LOG,
            cwd=deployment.app_directory,
            env=_environment(host, deployment),
            cores=deployment.cores,
        )
    except GuardRefusal as refusal:
        raise ServerStartError(
            f"{deployment.spec.name} could not be started on {refusal.message}",
            remedy="run `./invoke hosts.clean` for that host and try again",
        ) from refusal
    try:
        readiness = _await_ready(host, deployment, pid, requests)
    except BaseException:
        stop_server(host)
        raise
    return RunningServer(
        pid=pid,
        command=command,
        worker_pids=readiness.pids,
        configuration=readiness.configuration,
        answers=readiness.answers,
        ready_seconds=readiness.seconds,
    )


def stop_server(host: GuardedHost) -> ProcessExit:
    """SIGTERM, patience, then the whole family. Returns when no process of it is left."""
    return host.stop(PROCESS_NAME, grace_seconds=STOP_GRACE_SECONDS)


def read_counts(host: GuardedHost, deployment: Deployment) -> dict[str, int]:
    """Requests answered since the start, by endpoint, as the app's own processes counted them."""
    done = host.run(
        [deployment.python, "-m", "testapp.counts", f"{host.workdir}/{COUNTS}"],
        cwd=deployment.app_directory,
    )
    return msgspec.json.decode(done.stdout, type=dict[str, int])


def log_tail(host: GuardedHost) -> str:
    return host.tail(LOG, LOG_TAIL_BYTES)


def check_answers(answers: Mapping[str, Mapping[str, Answer]], requests: Sequence[FirstRequest]) -> None:
    """Every server's answers against the right ones.

    ``answers`` is {server: {endpoint: Answer}}; an endpoint that a server doesn't serve is left out. Raises
    AnswersDiffer naming the server and the field.
    """
    for request in requests:
        for server, found in answers.items():
            if request.endpoint.name in found:
                _check_answer(server, request, found[request.endpoint.name])


def _check_answer(server: str, request: FirstRequest, answer: Answer) -> None:
    right = Answer(
        status=request.status,
        content_type=request.endpoint.content_type,
        content_length=str(len(request.right_body)),
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


def _await_ready(
    host: GuardedHost,
    deployment: Deployment,
    pid: int,
    requests: Sequence[FirstRequest],
) -> Readiness:
    deadline = READY_SECONDS
    order = {
        "address": _probe_address(deployment.bind),
        "port": deployment.port,
        "pid": pid,
        "workers": deployment.workers,
        "deadline_seconds": deadline,
        "process_path": PROCESS_PATH,
        "requests": [
            {
                "name": one.endpoint.name,
                "method": one.endpoint.method,
                "path": one.endpoint.path,
                "headers": one.headers,
                "body": base64.b64encode(one.body).decode(),
            }
            for one in requests
        ],
    }
    done = host.run(
        [deployment.python, "-I", deployment.answers_script],
        stdin=msgspec.json.encode(order),
        timeout_seconds=deadline + 15,
    )
    readiness = msgspec.json.decode(done.stdout, type=Readiness)
    if not readiness.ready:
        status = host.exit_status(PROCESS_NAME)
        ended = "" if status is None else f"; it ended with status {status}"
        tail = ""
        with contextlib.suppress(GuardRefusal):
            tail = log_tail(host)
        raise ServerStartError(
            f"{deployment.spec.name} did not become ready on {host.host.name} within "
            f"{readiness.seconds:.0f} s ({readiness.problem}){ended}",
            remedy="the end of its log follows",
            detail=tail or "(its log is empty)",
        )
    return readiness


def _probe_address(bind: str) -> str:
    """A wildcard is asked through loopback."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)
