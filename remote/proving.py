"""A server started for a proof on its host, and a probe program run beside it.

It listens on the host's loopback alone, at a port that the system chooses; several may run at once, each in a
slot of its own.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping

import msgspec

from bench.catalogue.command import command_of, config_text
from bench.catalogue.serving import group_for
from bench.errors import ServerStartError
from bench.spec import USUAL_SERVING, ServerSpec, Serving
from bench.wire.proving import NONCE_VARIABLE, WITNESS_VARIABLE, ProbeOrder
from remote.certificate import Certificate, make_certificate
from remote.guard_link import GuardRefusal
from remote.guarded import GuardedHost
from remote.provision.provision import Provisioned
from remote.provision.ship import shipped_program
from remote.server import MOST_SOCKET_BYTES

PROBES_GROUP = "probes"
"""The environment of probe programs: client libraries of every protocol."""

LOOPBACK = "127.0.0.1"
STOP_GRACE_SECONDS = 1.0
"""Nothing that runs then is of use; a server may wait for connections that probes left open."""
LOG_TAIL_BYTES = 2_000


class ProvenSetUp(msgspec.Struct, frozen=True):
    """What is to be started: a server at its version, and the app that it serves."""

    spec: ServerSpec
    app: str
    serving: Serving = USUAL_SERVING
    workers: int = 1
    words: tuple[str, ...] = ()  # added to the command
    environment: dict[str, str] = {}  # for the app, and added to the server's own
    certificate: Certificate | None = None  # with TLS; None: one is made at the start


READY_SECONDS = 20.0
"""How long a probe program waits for its server."""


class StartedServer(msgspec.Struct, frozen=True):
    """A server that was started, and may not be ready yet. Paths are absolute, on its host."""

    slot: str
    pid: int  # its leader's
    command: tuple[str, ...]
    address: str
    port: int  # that of its command; on a Unix socket nothing listens there
    socket: str  # "" without one
    certificate: str  # "" without TLS
    nonce: str  # the app has it from its environment
    witness: str  # the folder where the app notes what it saw
    log: str  # below the work folder
    log_path: str  # the same, absolute

    @property
    def process(self) -> str:
        """Its name for the guard."""
        return _process(self.slot)

    def order(
        self, launches: tuple[str, ...], available: tuple[str, ...], only: tuple[str, ...] = ()
    ) -> ProbeOrder:
        """What a probe program is told of this server; fields as in ProbeOrder."""
        return ProbeOrder(
            launches=launches,
            pid=self.pid,
            address=self.address,
            port=self.port,
            socket=self.socket,
            tls=bool(self.certificate),
            certificate=self.certificate,
            nonce=self.nonce,
            witness=self.witness,
            ready_seconds=READY_SECONDS,
            available=available,
            only=only,
            log=self.log_path,
        )


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
    spec, serving = set_up.spec, set_up.serving
    socket = f"{home}/socket" if serving.transport == "unix" else ""
    if len(socket.encode()) > MOST_SOCKET_BYTES:
        raise ServerStartError(
            f"{host.host.name}: {socket} is too long for a Unix socket",
            remedy="Give the host a shorter work folder with asgibench_workdir",
        )
    port = host.free_port(LOOPBACK)
    certificate = _certificate(host, set_up, folder)
    config = config_text(
        spec,
        host=LOOPBACK,
        port=port,
        workers=set_up.workers,
        serving=serving,
        app=set_up.app,
        certificate=certificate,
        key=f"{home}/key.pem",
        socket=socket,
    )
    if config:
        host.write(f"{folder}/config.toml", config.encode())
    environment = provisioned.environments[group_for(spec, serving)]
    command = command_of(
        spec,
        host=LOOPBACK,
        port=port,
        workers=set_up.workers,
        config_path=f"{home}/config.toml",
        program_directory=f"{environment.directory}/bin",
        serving=serving,
        app=set_up.app,
        certificate=certificate,
        key=f"{home}/key.pem",
        socket=socket,
    )
    command = (*command, *set_up.words)
    nonce = secrets.token_hex(8)
    variables = _variables(set_up, environment.directory, str(provisioned.shipped)) | {
        WITNESS_VARIABLE: f"{home}/witness",
        NONCE_VARIABLE: nonce,
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
        socket=socket,
        certificate=certificate,
        nonce=nonce,
        witness=f"{home}/witness",
        log=f"{folder}/server.log",
        log_path=f"{home}/server.log",
    )


def _certificate(host: GuardedHost, set_up: ProvenSetUp, folder: str) -> str:
    """Its path on the host, where its key is written too; "" without TLS."""
    if set_up.serving.transport != "tls":
        return ""
    made = set_up.certificate or make_certificate([LOOPBACK])
    host.write(f"{folder}/certificate.pem", made.certificate)
    host.write(f"{folder}/key.pem", made.key)
    return f"{host.workdir}/{folder}/certificate.pem"


def _variables(set_up: ProvenSetUp, environment: str, shipped: str) -> dict[str, str]:
    return {
        "PATH": f"{environment}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": shipped,
        "PYTHONUNBUFFERED": "1",
        **set_up.spec.environment_variables,
        **set_up.environment,
    }
