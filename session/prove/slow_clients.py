"""`slow-clients`: each probe on a server that is started for it, one server of the catalogue after the other.

Those that only wait are made at once; those that measure are alone.
"""

from __future__ import annotations

from datetime import UTC, datetime

from bench.errors import CommandFailed, ServerStartError
from bench.proofs.kept import PROOFS_VERSION, Proofs
from bench.proofs.slow_clients import SLOW_CLIENTS, TITLES, SlowFinding, SlowFindings, judged, unproven
from bench.proofs.slow_request import SlowRequest
from bench.spec import ServerSpec
from bench.wire.codec import decode_line, encode_line
from bench.wire.slow_clients import SlowOrder, SlowReport
from remote.database import TOOLS_GROUP
from remote.parallel import prompt_pool
from remote.proving import ProvenSetUp, started
from remote.provision.ship import shipped_program
from session.prove.ground import Ground, Report

APP = "testapp.proving.slow_clients:app"
PROGRAM = "remote.onhost.slow_clients"
WAITING = ("silent", "slowloris", "stopped-writer")
CAP_BYTES = 256_000_000
SPARE_SECONDS = 240.0
"""For opening the connections and reading the memory, beside the patience."""


def prove_slow_clients(request: SlowRequest, ground: Ground, report: Report) -> Proofs[SlowFindings]:
    """Every server's findings. A server that can't be started costs the others nothing."""
    findings = {name: _of_server(request, ground, spec, report) for name, spec in ground.servers.items()}
    return Proofs(
        kind=SLOW_CLIENTS,
        version=PROOFS_VERSION,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=request.command("slow-clients"),
        environment=ground.environment,
        subjects=ground.subjects,
        findings=findings,
    )


def _of_server(request: SlowRequest, ground: Ground, spec: ServerSpec, report: Report) -> SlowFindings:
    def prove(probe: str) -> SlowFinding:
        report(f"{spec.name}: {probe}")
        return _finding(request, ground, spec, probe)

    wanted = [probe for probe in TITLES if not request.probes or probe in request.probes]
    waiting = [probe for probe in wanted if probe in WAITING]
    with prompt_pool(len(waiting)) as pool:
        found = dict(zip(waiting, pool.map(prove, waiting), strict=True))
    found |= {probe: prove(probe) for probe in wanted if probe not in WAITING}
    return {probe: found[probe] for probe in wanted}


def _finding(request: SlowRequest, ground: Ground, spec: ServerSpec, probe: str) -> SlowFinding:
    set_up = ProvenSetUp(spec=spec, app=APP)
    try:
        with started(ground.host, ground.provisioned, set_up, f"slow-{probe}") as server:
            order = SlowOrder(
                probe=probe,
                pid=server.pid,
                address=server.address,
                port=server.port,
                witness=server.witness,
                connections=request.idle if probe == "idle" else request.slow,
                patience_seconds=request.patience,
                cap_bytes=CAP_BYTES,
                pairs=request.pairs,
            )
            return judged(_reported(ground, order))
    except (CommandFailed, ServerStartError) as error:
        return unproven(probe, error.message)


def _reported(ground: Ground, order: SlowOrder) -> SlowReport:
    """With the agent's environment, whose reader is used. Raises CommandFailed."""
    python = ground.provisioned.environments[TOOLS_GROUP].python
    argv, variables = shipped_program(python, str(ground.provisioned.shipped), PROGRAM)
    done = ground.host.run(
        argv,
        env=variables,
        stdin=encode_line(order),
        timeout_seconds=order.patience_seconds + SPARE_SECONDS,
    )
    return decode_line(SlowReport, done.stdout)
