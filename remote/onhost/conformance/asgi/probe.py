"""A probe of ASGI: one row of a table in probes/, and how it is run beside its controls."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.wire.conformance import ConformanceFinding, Judgement, Level, shown
from remote.onhost.conformance.asgi.exchange import (
    SETTLE_SECONDS,
    AsgiExchange,
    AsgiObserved,
    AsgiPlace,
    Asked,
    open_exchange,
)
from testapp.proving.record import Noted
from testapp.proving.steps import Step

SUITE = "asgi"
AFTERWARDS_SECONDS = 0.1
NOT_REACHED = "the app was not called"
_STEPS = re.compile(r"(x-asgibench-steps: )\S+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AsgiVerdict:
    judgement: Judgement
    why: str  # what the server did, for a reader, without its full stop


def conforms(why: str) -> AsgiVerdict:
    return AsgiVerdict("conforms", why)


def allowed(why: str) -> AsgiVerdict:
    return AsgiVerdict("allowed", why)


def weak(why: str) -> AsgiVerdict:
    return AsgiVerdict("weak", why)


def violates(why: str) -> AsgiVerdict:
    return AsgiVerdict("violates", why)


def text(*headers: tuple[bytes, bytes], status: Any = 200, **more: Any) -> dict[str, Any]:
    """The start of a response. Given headers stand behind its content-type."""
    several = [(b"content-type", b"text/plain"), *headers]
    return {"type": "http.response.start", "status": status, "headers": several, **more}


def body(data: Any = b"ok", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", str(size).encode()


READ: list[Step] = [["body", 1.5]]
ANSWER: list[Step] = [["send", text(length(2))], ["send", body()]]


def ask(exchange: AsgiExchange) -> None:
    """Send the request, and read its answer."""
    exchange.wire.send(exchange.request)
    exchange.read_answer()


def ask_and_stay(exchange: AsgiExchange) -> None:
    """The same, and the connection stays open until the app's call has ended: what comes then is read too."""
    ask(exchange)
    exchange.until_ended()
    exchange.wire.read_for(AFTERWARDS_SECONDS)


@dataclass(frozen=True, slots=True)
class AsgiProbe:
    """``judge`` is asked where the request has reached the app; else ``unreached`` is."""

    name: str
    subject: str
    title: str
    rule: str  # the document and its section
    judge: Callable[[AsgiObserved], AsgiVerdict]
    level: Level = "MUST"
    steps: list[Step] = field(default_factory=lambda: [*READ, *ANSWER])
    asked: Asked = field(default_factory=Asked)
    client: Callable[[AsgiExchange], None] = ask
    unreached: Callable[[AsgiObserved], AsgiVerdict] = lambda observed: violates(
        f"{NOT_REACHED}; {outcome(observed)}"
    )


def outcome(observed: AsgiObserved) -> str:
    """For a reader: what came of the answer."""
    answer = observed.answer
    if answer is None:
        return {
            "": "nothing was answered",
            "closed": "it closed the connection",
            "reset": "it reset the connection",
        }[observed.ended]
    whole = "" if answer.is_complete else ", not whole"
    end = f", and {observed.ended} the connection" if observed.ended else ""
    return f"it answered {answer.status}{whole}{end}"


def may_refuse(observed: AsgiObserved) -> AsgiVerdict:
    """For a request that HTTP itself doesn't allow."""
    if 400 <= observed.status < 500:
        return allowed(f"it refuses the request with {observed.status}")
    return weak(f"{NOT_REACHED}; {outcome(observed)}")


def run_probe(probe: AsgiProbe, place: AsgiPlace) -> ConformanceFinding:
    """With a control before and after it. Raises nothing: what fails is told in the finding."""
    problem = control_problem(place)
    if problem:
        return _finding(probe, AsgiVerdict("untested", f"the control before it fails: {problem}"), None)
    try:
        exchange = open_exchange(place, probe.asked, probe.steps)
    except OSError as error:
        return _finding(probe, AsgiVerdict("untested", f"no connection: {error}"), None)
    with exchange.wire:
        probe.client(exchange)
    exchange.until_ended(SETTLE_SECONDS)
    observed = AsgiObserved(exchange, exchange.notes())
    try:
        verdict = probe.judge(observed) if observed.is_reached else probe.unreached(observed)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # What the app was given is not even of the shape that the rule speaks of.
        verdict = violates(f"what it gave the app can't be read: {type(error).__name__}: {error}")
    after = control_problem(place)
    if after:
        verdict = violates(f"afterwards the server doesn't serve any more: {after}")
    return _finding(probe, verdict, observed)


def control_problem(place: AsgiPlace) -> str:
    """ "" where an ordinary request comes to the app, and its answer back."""
    try:
        exchange = open_exchange(place, Asked(), [["receive", 1.0], *ANSWER])
    except OSError as error:
        return str(error)
    with exchange.wire:
        answer = None
        exchange.wire.send(exchange.request)
        answer = exchange.read_answer()
    observed = AsgiObserved(exchange, exchange.notes())
    if answer is None or (answer.status, answer.body, answer.is_complete) != (200, b"ok", True):
        return outcome(observed)
    return "" if observed.kinds == ("http.request",) else "its app did not see the request"


def _finding(probe: AsgiProbe, verdict: AsgiVerdict, observed: AsgiObserved | None) -> ConformanceFinding:
    wire = None if observed is None else observed.exchange.wire
    return ConformanceFinding(
        suite=SUITE,
        probe=probe.name,
        subject=probe.subject,
        title=probe.title,
        rule=probe.rule,
        level=probe.level,
        judgement=verdict.judgement,
        why=verdict.why,
        sent="" if wire is None else _STEPS.sub(r"\1(steps)", shown(bytes(wire.sent))),
        received="" if wire is None else shown(bytes(wire.received)),
        app_saw="" if observed is None else app_saw_of(observed.notes),
    )


SHOWN_NOTES = 12
SHOWN_CHARACTERS = 300


def app_saw_of(notes: Sequence[Noted]) -> str:
    """What it was given and what it met, a line each."""
    lines = []
    for one in notes:
        if one.what == "scope":
            continue
        told = ", ".join(f"{name}={value!r}" for name, value in one.more.items())
        lines.append(f"{one.what} {told}"[:SHOWN_CHARACTERS].rstrip())
    left_out = len(lines) - SHOWN_NOTES
    return "\n".join([*lines[:SHOWN_NOTES], *([f"(and {left_out} more)"] if left_out > 0 else [])])


def same_address(host: object, address: str) -> bool:
    """Whether both name one address, however they are written."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.inet_pton(family, str(host)) == socket.inet_pton(family, address)
    except OSError:
        return False
