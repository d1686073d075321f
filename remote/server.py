"""The measured server on its host: started, proven ready, its answers taken, stopped."""

from __future__ import annotations

import contextlib
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
    requests: Sequence[tuple[Endpoint, Mapping[str, str]]],
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


def check_same_answers(answers: Mapping[str, Mapping[str, Answer]], endpoints: Sequence[Endpoint]) -> None:
    """Every server's answers against the endpoint's own terms and against the first server's.

    ``answers`` is {server: {endpoint: Answer}}. Raises AnswersDiffer naming both servers and the field.
    """
    for endpoint in endpoints:
        first: tuple[str, Answer] | None = None
        for server, found in answers.items():
            answer = found.get(endpoint.name)
            if answer is None:
                continue
            _check_terms(server, endpoint, answer)
            if first is not None:
                _check_equal(endpoint, first, (server, answer))
            first = first or (server, answer)


def _check_terms(server: str, endpoint: Endpoint, answer: Answer) -> None:
    expected = {"status": 200, "content_type": endpoint.content_type}
    if endpoint.length_bytes is not None:
        expected["length"] = endpoint.length_bytes
    for field, value in expected.items():
        if getattr(answer, field) != value:
            raise _difference(
                endpoint, f"{server} answers with {field} {getattr(answer, field)!r}, not {value!r}"
            )
    if answer.content_length != str(answer.length):
        raise _difference(
            endpoint,
            f"{server} sends content-length {answer.content_length or 'none'} for {answer.length} bytes",
        )


def _check_equal(endpoint: Endpoint, one: tuple[str, Answer], other: tuple[str, Answer]) -> None:
    for field in ("status", "content_type", "length", "sha256"):
        mine, theirs = getattr(one[1], field), getattr(other[1], field)
        if mine != theirs:
            raise _difference(endpoint, f"{field} is {mine!r} from {one[0]}, {theirs!r} from {other[0]}")


def _difference(endpoint: Endpoint, text: str) -> AnswersDiffer:
    return AnswersDiffer(
        f"{endpoint.path}: {text}",
        remedy="servers that answer differently can't be compared; leave one out with --servers",
    )


def _environment(host: GuardedHost, deployment: Deployment) -> dict[str, str]:
    return {
        "PATH": f"{deployment.program_directory}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": deployment.app_directory,
        "PYTHONUNBUFFERED": "1",
        "ASGIBENCH_COUNTS": f"{host.workdir}/{COUNTS}",
        "ASGIBENCH_DATABASE_URL": deployment.database_url,
        **deployment.spec.environment_variables,
    }


def _await_ready(
    host: GuardedHost,
    deployment: Deployment,
    pid: int,
    requests: Sequence[tuple[Endpoint, Mapping[str, str]]],
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
            {"name": endpoint.name, "path": endpoint.path, "headers": dict(headers)}
            for endpoint, headers in requests
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
