"""The lifespan of the app, in servers that were started for it: one start for each way in which it may go.

``_ordinary`` is longer than a function may be: a table of all that follows from one start.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.wire.conformance import ConformanceFinding, Level
from remote.onhost.conformance.asgi.exchange import (
    AsgiExchange,
    AsgiObserved,
    AsgiPlace,
    Asked,
    open_exchange,
)
from remote.onhost.conformance.asgi.probe import (
    ANSWER,
    SUITE,
    AsgiVerdict,
    allowed,
    app_saw_of,
    conforms,
    violates,
    weak,
)
from testapp.proving.asgi import LIFESPAN_TOKEN, SHUTDOWN_FAILED, STARTUP_FAILED
from testapp.proving.record import Noted, read_record

START_SECONDS = 10.0
STOP_SECONDS = 8.0
POLL_SECONDS = 0.02
SUBJECT = "Lifespan"
RULE = "ASGI lifespan, Scope"
NONE = "the server has no lifespan"


@dataclass(frozen=True, slots=True)
class Started:
    """A server that was just started."""

    place: AsgiPlace
    pid: int
    log: Path

    @property
    def notes(self) -> tuple[Noted, ...]:
        return read_record(self.place.witness, LIFESPAN_TOKEN)

    @property
    def is_running(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def said(self) -> str:
        """All that it printed."""
        try:
            return self.log.read_text(errors="replace")
        except OSError:
            return ""

    def first_answer(self) -> AsgiObserved | None:
        """The first request that is answered with 200; None: it ended, or START_SECONDS have passed."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.is_running:
            exchange = self._answered(deadline)
            if exchange is not None:
                return AsgiObserved(exchange, exchange.notes())
            time.sleep(POLL_SECONDS)
        return None

    def _answered(self, deadline: float) -> AsgiExchange | None:
        try:
            exchange = open_exchange(self.place, Asked(), [["receive", 1.0], *ANSWER])
        except OSError:
            return None
        with exchange.wire:
            exchange.wire.send(exchange.request)
            answer = exchange.read_answer(max(0.1, deadline - time.monotonic()))
        return exchange if answer is not None and answer.status == 200 else None

    def until_ended(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_running and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return not self.is_running

    def stop(self) -> bool:
        """Whether it ends of SIGTERM."""
        if self.is_running:
            os.kill(self.pid, signal.SIGTERM)
        return self.until_ended(STOP_SECONDS)


Outcome = tuple[str, str, str, Level, AsgiVerdict]
"""(name, title, rule, level, verdict) of one finding."""


def prove_lifespan(variant: str, started: Started) -> tuple[ConformanceFinding, ...]:
    """Those of one way. The server is stopped in the end, where it doesn't end by itself."""
    outcomes = VARIANTS[variant](started)
    return tuple(
        ConformanceFinding(
            suite=SUITE,
            probe=f"lifespan-{name}",
            subject=SUBJECT,
            title=title,
            rule=rule,
            level=level,
            judgement=verdict.judgement,
            why=verdict.why,
            sent="",
            received=started.said[-400:],
            app_saw=app_saw_of(started.notes),
        )
        for name, title, rule, level, verdict in outcomes
    )


def _ordinary(started: Started) -> list[Outcome]:
    answered = started.first_answer()
    notes = started.notes
    ended = started.stop()
    after = started.notes
    level: Level = "MUST"
    rows: list[tuple[str, str, str, AsgiVerdict]] = [
        ("served", "the server serves", RULE, _is(answered is not None, "it serves", "it does not serve")),
    ]
    if not notes:
        level = "MAY"
        names = ("scope", "state", "startup", "startup-first", "loop", "shutdown", "shutdown-waits")
        return [
            *((name, title, rule, "MUST", verdict) for name, title, rule, verdict in rows),
            *((name, TITLES[name], RULE, level, allowed(NONE)) for name in names),
        ]
    scope = notes[0].more["scope"]
    first: dict[str, Any] = next((one.more["message"] for one in notes if one.what == "received"), {})
    complete = [one.at for one in notes if one.what == "sent"]
    calls = [] if answered is None else list(answered.noted("scope"))
    is_early = bool(calls) and (not complete or calls[0].at < complete[0])
    loop = [one.more["loop"] for one in (notes[0], *calls)]
    thread = [one.more["thread"] for one in (notes[0], *calls)]
    events = [one.more["message"]["type"] for one in after if one.what == "received"]
    sent = [one.more["type"] for one in after if one.what == "sent"]
    rows += [
        ("scope", TITLES["scope"], RULE, _scope(scope)),
        ("state", TITLES["state"], "ASGI lifespan, Lifespan State", _state(scope)),
        (
            "startup",
            TITLES["startup"],
            "ASGI lifespan, Startup",
            _is(
                first.get("type") == "lifespan.startup",
                "the first event is lifespan.startup",
                f"the first event is {first!r:.80}",
            ),
        ),
        (
            "startup-first",
            TITLES["startup-first"],
            "ASGI lifespan, Startup Complete",
            _is(
                not is_early,
                "the first request comes behind startup.complete",
                "a request comes before startup.complete",
            ),
        ),
        (
            "loop",
            TITLES["loop"],
            "ASGI lifespan",
            _is(
                len(set(loop)) == 1,
                f"one event loop{'' if len(set(thread)) == 1 else ', in several threads'}",
                "lifespan and requests run in different event loops",
            ),
        ),
        (
            "shutdown",
            TITLES["shutdown"],
            "ASGI lifespan, Shutdown",
            _is(
                "lifespan.shutdown" in events,
                "lifespan.shutdown follows SIGTERM",
                "no lifespan.shutdown follows SIGTERM",
            ),
        ),
        (
            "shutdown-waits",
            TITLES["shutdown-waits"],
            "ASGI lifespan, Shutdown Complete",
            _shutdown_waits(sent, ended),
        ),
    ]
    return [(name, title, rule, level, verdict) for name, title, rule, verdict in rows]


TITLES = {
    "scope": "the scope of the lifespan",
    "state": "an empty state in the scope of the lifespan",
    "startup": "the first event is lifespan.startup",
    "startup-first": "no request before startup.complete",
    "loop": "lifespan and requests run in one event loop",
    "shutdown": "lifespan.shutdown at the end",
    "shutdown-waits": "the server waits for shutdown.complete",
}


def _is(right: bool, yes: str, no: str) -> AsgiVerdict:
    return conforms(yes) if right else violates(no)


def _scope(scope: dict[str, Any]) -> AsgiVerdict:
    asgi = scope.get("asgi")
    fits = scope.get("type") == "lifespan" and isinstance(asgi, dict) and isinstance(asgi.get("version"), str)
    spec_version = asgi.get("spec_version", "1.0") if isinstance(asgi, dict) else None
    if not fits or not isinstance(spec_version, str):
        return violates(f"{scope!r:.160}")
    if spec_version not in ("1.0", "2.0"):
        return weak(f"spec_version is {spec_version!r}, and the lifespan has 1.0 and 2.0 only")
    return conforms(f"asgi is {asgi!r}")


def _state(scope: dict[str, Any]) -> AsgiVerdict:
    if "state" not in scope:
        return allowed("there is none")
    return _is(scope["state"] == {}, "an empty dict", f"{scope['state']!r:.120}")


def _shutdown_waits(sent: list[str], ended: bool) -> AsgiVerdict:
    if not ended:
        return violates(f"{STOP_SECONDS:g} s after SIGTERM it still runs")
    if "lifespan.shutdown.complete" in sent:
        return conforms("it ends behind shutdown.complete")
    return violates("it ends before the app has said shutdown.complete")


def _startup_failed(started: Started) -> list[Outcome]:
    answered = started.first_answer()
    ended = answered is None and not started.is_running
    told = STARTUP_FAILED in started.said
    known = bool(started.notes)
    started.stop()
    if not known:
        verdict = allowed(NONE)
    elif answered is not None:
        verdict = violates("it serves all the same")
    elif not ended:
        verdict = violates(f"{START_SECONDS:g} s later it neither serves nor has it ended")
    elif not told:
        verdict = weak("it ends, but does not print the app's message")
    else:
        verdict = conforms("it prints the app's message and ends")
    title = "startup.failed: the message is printed, and the server ends"
    return [("startup-failed", title, "ASGI lifespan, Startup Failed", "MUST", verdict)]


def _serves_on(name: str, title: str, level: Level) -> Callable[[Started], list[Outcome]]:
    def prove(started: Started) -> list[Outcome]:
        answered = started.first_answer()
        running, events = started.is_running, [one for one in started.notes if one.what == "received"]
        known = bool(started.notes)
        started.stop()
        after = [one for one in started.notes if one.what == "received"]
        if not known:
            verdict = allowed(NONE)
        elif answered is not None and len(after) > len(events):
            verdict = violates("it serves, but sends the lifespan further events")
        elif answered is not None:
            verdict = conforms("it serves")
        elif level == "MAY":
            verdict = (
                allowed("it ends") if not running else weak(f"after {START_SECONDS:g} s it does not serve")
            )
        else:
            verdict = violates(f"after {START_SECONDS:g} s it does not serve" if running else "it ends")
        return [(name, title, RULE, level, verdict)]

    return prove


def _ends(name: str, title: str, rule: str, message: str) -> Callable[[Started], list[Outcome]]:
    """Whatever goes wrong at the end, the server must end."""

    def prove(started: Started) -> list[Outcome]:
        answered = started.first_answer()
        known = bool(started.notes)
        ended = started.stop()
        if not known:
            verdict = allowed(NONE)
        elif answered is None:
            verdict = violates("it did not serve")
        elif not ended:
            verdict = violates(f"{STOP_SECONDS:g} s after SIGTERM it still runs")
        elif message not in started.said:
            verdict = weak("it ends, but does not print the app's message")
        else:
            verdict = conforms("it prints the app's message and ends" if message else "it ends")
        return [(name, title, rule, "MUST", verdict)]

    return prove


VARIANTS: dict[str, Callable[[Started], list[Outcome]]] = {
    "": _ordinary,
    "startup-failed": _startup_failed,
    "raises-at-once": _serves_on(
        "raises-at-once", "an app that raises at the lifespan's scope is served", "MUST"
    ),
    "raises-at-startup": _serves_on(
        "raises-at-startup", "an app that raises at lifespan.startup is served", "MUST"
    ),
    "returns-at-once": _serves_on(
        "returns-at-once", "an app that returns at once is served, or the server ends", "MAY"
    ),
    "shutdown-failed": _ends(
        "shutdown-failed",
        "shutdown.failed: the message is printed, and the server ends",
        "ASGI lifespan, Shutdown Failed",
        SHUTDOWN_FAILED,
    ),
    "raises-at-shutdown": _ends(
        "raises-at-shutdown",
        "an exception at lifespan.shutdown: the server ends",
        "ASGI lifespan, Shutdown",
        "",
    ),
}
"""By the value of ASGIBENCH_LIFESPAN that the server was started with."""
