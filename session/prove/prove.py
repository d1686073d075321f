"""Goes through the servers, two at once: each started in every way that a kind of proof needs, and probed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Generic, TypeVar

import msgspec

from bench.catalogue.command import command_of, config_text
from bench.catalogue.serving import for_serving, group_for, why_not
from bench.errors import CommandFailed, ServerStartError
from bench.proofs.kept import PROOFS_VERSION, Proofs
from bench.proofs.request import ProveRequest
from bench.spec import USUAL_SERVING, ServerSpec, Serving
from remote.parallel import prompt_pool, wait_for_all
from remote.proving import LOOPBACK, ProvenSetUp, log_of, run_probes, started
from session.prove.ground import Ground, Report

AT_ONCE = 2

Answer = TypeVar("Answer")
Finding = TypeVar("Finding")


class ProofLaunch(msgspec.Struct, frozen=True):
    """One way in which a server is started for a proof."""

    name: str
    serving: Serving = USUAL_SERVING
    words: tuple[str, ...] = ()  # added to the command
    config_file: str = ""  # in place of the server's own, unless empty
    environment: dict[str, str] = {}  # added to the app's


class NotProbed(msgspec.Struct, frozen=True):
    """A launch that came to nothing."""

    reason: str  # for readers
    log: str = ""  # the end of what the server printed


@dataclass(frozen=True)
class ProofKind(Generic[Answer, Finding]):
    """What a kind of proof starts, how it probes, and what its reports amount to."""

    name: str  # the command's and the file's
    app: str  # MODULE:NAME, shipped
    program: str  # the shipped module that probes; it takes a ProbeOrder and prints an Answer
    answer_of: Callable[[bytes], Answer]  # what the program printed
    finding: type[Finding]
    # Those that are wanted of a server: what it can't serve (``why_not``) is left out, and told as NotProbed.
    launches: Callable[[ServerSpec], Sequence[ProofLaunch]]
    findings: Callable[[ServerSpec, Mapping[str, Answer | NotProbed]], Finding]  # by launch
    timeout_seconds: float = 60.0  # for the program


def prove(
    request: ProveRequest, kind: ProofKind[Answer, Finding], ground: Ground, report: Report
) -> Proofs[Finding]:
    """Every server's finding. A server that can't be started costs the others nothing.

    Raises what a lost connection raises.
    """
    slots: SimpleQueue[str] = SimpleQueue()
    for number in range(AT_ONCE):
        slots.put(f"{kind.name}-{number + 1}")

    def prove_one(spec: ServerSpec) -> Finding:
        slot = slots.get()
        try:
            report(f"{spec.name}: probing")
            answers = _answers(kind, ground, spec, slot)
            return kind.findings(spec, answers)
        finally:
            slots.put(slot)

    futures: dict[str, Future[Finding]] = {}
    with prompt_pool(AT_ONCE) as pool:
        futures = {name: pool.submit(prove_one, spec) for name, spec in ground.servers.items()}
        wait_for_all(**futures)
    return Proofs(
        kind=kind.name,
        version=PROOFS_VERSION,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=request.command(kind.name),
        environment=ground.environment,
        subjects=ground.subjects,
        findings={name: future.result() for name, future in futures.items()},
    )


def _answers(
    kind: ProofKind[Answer, Finding], ground: Ground, spec: ServerSpec, slot: str
) -> dict[str, Answer | NotProbed]:
    """By launch. Launches that amount to one command are one start."""
    wanted = kind.launches(spec)
    reasons = {one.name: why_not(spec, one.serving) for one in wanted}
    found: dict[str, Answer | NotProbed] = {
        name: NotProbed(reason) for name, reason in reasons.items() if reason is not None
    }
    launches = [one for one in wanted if one.name not in found]
    for same in _alike(spec, kind.app, launches):
        answer = _answer(kind, ground, spec, slot, same, tuple(one.name for one in launches))
        found |= {one.name: answer for one in same}
    return found


def variants_of(spec: ServerSpec, launches: Iterable[ProofLaunch]) -> Iterator[ServerSpec]:
    """The entry as it is started in these, for the environments that it needs."""
    for one in launches:
        if why_not(spec, one.serving) is None:
            yield for_serving(spec, one.serving)


def _as_launched(spec: ServerSpec, launch: ProofLaunch) -> ServerSpec:
    return msgspec.structs.replace(spec, config_file=launch.config_file) if launch.config_file else spec


def _alike(spec: ServerSpec, app: str, launches: Iterable[ProofLaunch]) -> Iterator[tuple[ProofLaunch, ...]]:
    by_start: dict[bytes, list[ProofLaunch]] = {}
    for one in launches:
        command = command_of(
            spec,
            host=LOOPBACK,
            port=1,
            workers=1,
            config_path="f",
            program_directory="p",
            serving=one.serving,
            app=app,
            certificate="c",
            key="k",
            socket="s",
        )
        config = config_text(
            _as_launched(spec, one),
            host=LOOPBACK,
            port=1,
            workers=1,
            serving=one.serving,
            app=app,
            certificate="c",
            key="k",
            socket="s",
        )
        start = (command, config, group_for(spec, one.serving), one.words, one.environment)
        by_start.setdefault(msgspec.json.encode(start), []).append(one)
    yield from map(tuple, by_start.values())


def _answer(
    kind: ProofKind[Answer, Finding],
    ground: Ground,
    spec: ServerSpec,
    slot: str,
    launches: tuple[ProofLaunch, ...],
    available: tuple[str, ...],
) -> Answer | NotProbed:
    first = launches[0]
    set_up = ProvenSetUp(
        spec=_as_launched(spec, first),
        app=kind.app,
        serving=first.serving,
        words=first.words,
        environment=first.environment,
    )
    try:
        with started(ground.host, ground.provisioned, set_up, slot) as server:
            order = server.order(tuple(one.name for one in launches), available)
            try:
                printed = run_probes(
                    ground.host,
                    ground.provisioned,
                    kind.program,
                    msgspec.json.encode(order),
                    timeout_seconds=kind.timeout_seconds,
                )
            except CommandFailed as error:
                return NotProbed(error.message, log_of(ground.host, server))
            return kind.answer_of(printed)
    except ServerStartError as error:
        return NotProbed(error.message)
