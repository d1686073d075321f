"""A server started for a proof on its host, and a probe program run beside it.

It listens on the host's loopback alone, at a port that the system chooses; several may run at once, each in a
slot of its own.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping

import msgspec

from bench.catalogue.command import APP, command_of, config_text
from bench.errors import ServerStartError
from bench.spec import ServerSpec
from bench.wire.proving import NONCE_VARIABLE, WITNESS_VARIABLE
from remote.guard_link import GuardRefusal
from remote.guarded import GuardedHost
from remote.provision.provision import Provisioned
from remote.provision.ship import shipped_program

PROBES_GROUP = "probes"
"""The environment of probe programs: client libraries of every protocol."""

LOOPBACK = "127.0.0.1"
STOP_GRACE_SECONDS = 5.0
LOG_TAIL_BYTES = 2_000


class ProvenSetUp(msgspec.Struct, frozen=True):
    """What is to be started: a server at its version, and the app that it serves."""

    spec: ServerSpec
    app: str
    workers: int = 1
    words: tuple[str, ...] = ()  # added to the command
    environment: dict[str, str] = {}  # for the app, and added to the server's own


class StartedServer(msgspec.Struct, frozen=True):
    """A server that was started, and may not be ready yet. Paths are absolute, on its host."""

    slot: str
    pid: int  # its leader's
    command: tuple[str, ...]
    address: str
    port: int  # 0 on a Unix socket
    socket: str  # "" without one
    certificate: str  # "" without TLS
    nonce: str  # the app has it from its environment
    witness: str  # the folder where the app notes what it saw
    log: str

    @property
    def process(self) -> str:
        """Its name for the guard."""
        return _process(self.slot)


@contextlib.contextmanager
def started(
    host: GuardedHost, provisioned: Provisioned, set_up: ProvenSetUp, slot: str
) -> Iterator[StartedServer]:
    """Start it; at the end stop it and all of its processes.

    Raises ServerStartError where its program can't be started, UsageError for what the server can't serve.
    """
    server = _start(host, provisioned, set_up, slot)
    try:
        yield server
    finally:
        host.stop(server.process, grace_seconds=STOP_GRACE_SECONDS)


def run_probes(
    host: GuardedHost,
    provisioned: Provisioned,
    program: str,
    order: bytes,
    *,
    timeout_seconds: float,
    environment: Mapping[str, str] = {},
) -> bytes:
    """What a shipped ``program`` (a module's name) prints for ``order``, run on the host in ``probes``.

    Raises CommandFailed.
    """
    python = provisioned.environments[PROBES_GROUP].python
    argv, variables = shipped_program(python, str(provisioned.shipped), program)
    done = host.run(argv, env={**variables, **environment}, stdin=order, timeout_seconds=timeout_seconds)
    return done.stdout


def log_of(host: GuardedHost, server: StartedServer) -> str:
    """The end of what it printed, "" where that can't be read."""
    with contextlib.suppress(GuardRefusal):
        return host.tail_of(server.log, LOG_TAIL_BYTES).text
    return ""


def _process(slot: str) -> str:
    return f"proof-{slot}"


def _start(host: GuardedHost, provisioned: Provisioned, set_up: ProvenSetUp, slot: str) -> StartedServer:
    folder = f"proofs/{slot}"
    home = f"{host.workdir}/{folder}"
    host.remove(folder)
    host.write(f"{folder}/witness/.keep", b"")
    spec = set_up.spec
    port = host.free_port(LOOPBACK)
    config = config_text(spec, host=LOOPBACK, port=port, workers=set_up.workers)
    if config:
        host.write(f"{folder}/config.toml", config.encode())
    environment = provisioned.environments[spec.group]
    command = command_of(
        spec,
        host=LOOPBACK,
        port=port,
        workers=set_up.workers,
        config_path=f"{home}/config.toml",
        program_directory=f"{environment.directory}/bin",
    )
    command = (*(set_up.app if word == APP else word for word in command), *set_up.words)
    nonce = secrets.token_hex(8)
    variables = {
        "PATH": f"{environment.directory}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(provisioned.shipped),
        "PYTHONUNBUFFERED": "1",
        WITNESS_VARIABLE: f"{home}/witness",
        NONCE_VARIABLE: nonce,
        **spec.environment_variables,
        **set_up.environment,
    }
    try:
        pid = host.start(
            _process(slot), command, log=f"{folder}/server.log", cwd=str(provisioned.shipped), env=variables
        )
    except GuardRefusal as refusal:
        raise ServerStartError(
            f"{spec.name} could not be started on {host.host.name}: {refusal.message}",
            remedy="Run `./invoke hosts.clean` for that host and try again",
        ) from refusal
    return StartedServer(
        slot=slot,
        pid=pid,
        command=command,
        address=LOOPBACK,
        port=port,
        socket="",
        certificate="",
        nonce=nonce,
        witness=f"{home}/witness",
        log=f"{folder}/server.log",
    )
