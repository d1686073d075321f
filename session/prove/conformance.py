"""`conformance`: every suite on every server, each start of a server for what it is to be asked there.

A server that ends of a probe is started again for those that are left, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from queue import SimpleQueue

import msgspec

from bench.catalogue.serving import for_serving, why_not
from bench.errors import CommandFailed, ServerStartError
from bench.proofs.conformance import CONFORMANCE, ConformanceFindings, SuiteFindings, latest
from bench.proofs.kept import PROOFS_VERSION, Proofs
from bench.proofs.request import ProveRequest
from bench.spec import ServerSpec, Serving
from bench.wire.codec import decode_line
from bench.wire.conformance import ConformanceFinding, ConformanceReport
from remote.parallel import prompt_pool, wait_for_all
from remote.proving import ProvenSetUp, run_probes, started
from session.prove.ground import Ground, Report

AT_ONCE = 2
PROGRAM_SECONDS = 240.0
MOST_STARTS = 40
"""Of one server for one launch: a probe that ends the server costs one."""
WEBSOCKET = Serving(protocol="websocket")
LIFESPANS = (
    "",
    "startup-failed",
    "raises-at-once",
    "raises-at-startup",
    "returns-at-once",
    "shutdown-failed",
    "raises-at-shutdown",
)
IF_RAISED = ("lifespan-raises-at-once", "lifespan-raises-at-startup", "lifespan-returns-at-once")


class SuiteLaunch(msgspec.Struct, frozen=True):
    """One start of a server for a suite."""

    name: str  # for its program
    spec: ServerSpec
    app: str
    program: str
    environment: dict[str, str] = {}


def websocket_variant(spec: ServerSpec) -> tuple[ServerSpec, ...]:
    """The entry as it serves WebSocket, where it can."""
    return () if why_not(spec, WEBSOCKET) is not None else (for_serving(spec, WEBSOCKET),)


def suites_of(spec: ServerSpec) -> dict[str, tuple[SuiteLaunch, ...]]:
    """{suite: every start that it needs}."""
    usual = for_serving(spec)
    asgi, program = "testapp.proving.asgi:app", "remote.onhost.conformance.asgi"
    return {
        "http1": (
            SuiteLaunch("http1", usual, "testapp.proving.http1:app", "remote.onhost.conformance.http1"),
        ),
        "asgi": (
            SuiteLaunch("asgi", usual, asgi, program),
            *(SuiteLaunch("asgi-websocket", one, asgi, program) for one in websocket_variant(spec)),
            *(
                SuiteLaunch(f"asgi-lifespan:{way}", usual, asgi, program, {"ASGIBENCH_LIFESPAN": way})
                for way in LIFESPANS
            ),
        ),
    }


def prove_conformance(request: ProveRequest, ground: Ground, report: Report) -> Proofs[ConformanceFindings]:
    """Every server's findings, two servers at once. Raises what a lost connection raises."""
    slots: SimpleQueue[str] = SimpleQueue()
    for number in range(AT_ONCE):
        slots.put(f"conformance-{number + 1}")

    def prove_one(spec: ServerSpec) -> ConformanceFindings:
        slot = slots.get()
        try:
            found: ConformanceFindings = {}
            for suite, launches in suites_of(spec).items():
                report(f"{spec.name}: {suite}")
                found[suite] = _of_suite(ground, spec, launches, slot)
            return found
        finally:
            slots.put(slot)

    futures: dict[str, Future[ConformanceFindings]] = {}
    with prompt_pool(AT_ONCE) as pool:
        futures = {name: pool.submit(prove_one, spec) for name, spec in ground.servers.items()}
        wait_for_all(**futures)
    return Proofs(
        kind=CONFORMANCE,
        version=PROOFS_VERSION,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=request.command("conformance"),
        environment=ground.environment,
        subjects=ground.subjects,
        findings={name: future.result() for name, future in futures.items()},
    )


def _of_suite(ground: Ground, spec: ServerSpec, launches: Iterable[SuiteLaunch], slot: str) -> SuiteFindings:
    findings: list[ConformanceFinding] = []
    problems: dict[str, None] = {}
    for launch in launches:
        for one in _reports(ground, launch, slot):
            findings += one.findings
            if not one.findings:
                problems[one.problem] = None
    asked = [_as_asked(spec, one) for one in latest(findings)]
    refused = why_not(spec, WEBSOCKET)
    if refused and any(one.suite == "asgi" for one in asked):
        problems[f"WebSocket: {refused}"] = None
    return SuiteFindings("; ".join(problems), tuple(asked))


def _reports(ground: Ground, launch: SuiteLaunch, slot: str) -> Iterator[ConformanceReport]:
    """One for each start: another follows as long as a server ends of a probe and some are left."""
    only: tuple[str, ...] = ()
    for _ in range(MOST_STARTS):
        report = _report(ground, launch, slot, only)
        yield report
        left = tuple(one.probe for one in report.findings if one.judgement == "untested")
        if not report.problem or not left or left == only:
            return
        only = left


def _report(ground: Ground, launch: SuiteLaunch, slot: str, only: tuple[str, ...]) -> ConformanceReport:
    set_up = ProvenSetUp(spec=launch.spec, app=launch.app, environment=launch.environment)
    try:
        with started(ground.host, ground.provisioned, set_up, slot) as server:
            printed = run_probes(
                ground.host,
                ground.provisioned,
                launch.program,
                msgspec.json.encode(server.order((launch.name,), (launch.name,), only)),
                timeout_seconds=PROGRAM_SECONDS,
            )
    except (CommandFailed, ServerStartError) as error:
        return ConformanceReport(error.message, ())
    return decode_line(ConformanceReport, printed)


def _as_asked(spec: ServerSpec, finding: ConformanceFinding) -> ConformanceFinding:
    """A server whose settings insist on a lifespan does as it is told where it ends without one."""
    insists = "--lifespan on" in " ".join(spec.command) or 'lifespan="on"' in spec.config_file
    if insists and finding.probe in IF_RAISED and finding.judgement == "violates":
        why = f"{finding.why}, as its settings ask: they say that there is a lifespan"
        return msgspec.convert(
            {**_fields(finding), "judgement": "allowed", "why": why}, type=ConformanceFinding
        )
    return finding


def _fields(finding: ConformanceFinding) -> Mapping[str, object]:
    found: Mapping[str, object] = msgspec.to_builtins(finding)
    return found
