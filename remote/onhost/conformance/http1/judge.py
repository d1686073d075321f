"""What a server did with a probe's bytes, held against the probe's row."""

from __future__ import annotations

from bench.wire.conformance import ConformanceFinding, RequestSeen, shown
from remote.onhost.conformance.http1.probe import (
    AFTER_PATH,
    SMUGGLED,
    Http1Probe,
    Judged,
    ProbeOutcome,
    Reading,
)

SUITE = "http1"
BODY_SHOWN_BYTES = 80
FIELDS_SHOWN_BYTES = 160


def judged(probe: Http1Probe, outcome: ProbeOutcome) -> Judged:
    """The judgement of this probe alone, without its twin's."""
    if any(one.path == SMUGGLED for one in outcome.seen):
        return "violates", "the app was given a request that another request's body carried"
    if probe.inspect is not None:
        return probe.inspect(outcome)
    complete = outcome.complete
    if not complete or _is_after_alone(outcome):
        return _without_the_app(probe, outcome)
    for reading in probe.readings:
        if _fits(reading, outcome):
            return _as_read(probe, reading, outcome)
    return probe.otherwise, _given(outcome)


def finding_of(
    probe: Http1Probe, subject: str, outcome: ProbeOutcome, twin: Judged | None, sent: bytes
) -> ConformanceFinding:
    """``twin`` is the judgement of the probe's twin, None where it has none; ``sent`` is what went out."""
    judgement, why = judged(probe, outcome)
    refuses = not outcome.complete
    if twin is not None and refuses and judgement in ("conforms", "allowed") and twin[0] != "conforms":
        judgement = "violates"
        why = f"{why}; but it doesn't serve its valid twin {probe.twin} either: {twin[1]}"
    return ConformanceFinding(
        suite=SUITE,
        probe=probe.name,
        subject=subject,
        title=probe.title,
        rule=probe.rule,
        level=probe.level,
        judgement=judgement,
        why=why,
        sent=shown(sent),
        received=f"{shown(outcome.received)} [{outcome.end}]".lstrip(),
        app_saw="; ".join(_with_fields(one) for one in outcome.seen),
    )


def _is_after_alone(outcome: ProbeOutcome) -> bool:
    """The request before it was refused."""
    return all(one.path == AFTER_PATH for one in outcome.complete) and bool(
        outcome.answers.finals and outcome.answers.finals[0].status >= 400
    )


def _without_the_app(probe: Http1Probe, outcome: ProbeOutcome) -> Judged:
    finals = outcome.answers.finals
    if not finals:
        rest = outcome.answers.rest
        if rest:
            return probe.otherwise, f"it sends what is no answer of HTTP/1.1: {shown(rest, 40)}"
        if outcome.end == "open":
            return probe.waits, "it doesn't answer and waits for more"
        return probe.closed, "it closes the connection without an answer"
    status = finals[0].status
    if status < 400:
        return probe.otherwise, f"it answers with {status}, and the app was given no whole request"
    wanted = probe.statuses or tuple(range(400, 600))
    if status not in wanted or (status == 500 and not probe.statuses):
        by_rule = f", not {' or '.join(map(str, probe.statuses))}" if probe.statuses else ""
        return probe.refused_otherwise, f"it refuses with {status}{by_rule}"
    if outcome.goes_on:
        return probe.refused_and_goes_on, f"it refuses with {status} and serves what follows"
    return probe.refused, f"it refuses with {status}"


def _fits(reading: Reading, outcome: ProbeOutcome) -> bool:
    if reading.answers is not None and reading.answers != len(outcome.answers.finals):
        return False
    if reading.goes_on is False and outcome.end == "open":
        return False
    complete = outcome.complete
    follows = bool(complete) and complete[-1].path == AFTER_PATH
    if reading.goes_on is not None and reading.goes_on != follows:
        return False
    own = complete[:-1] if follows else complete
    return len(own) == len(reading.requests) and all(
        wanted.is_met_by(one) for wanted, one in zip(reading.requests, own, strict=True)
    )


def _as_read(probe: Http1Probe, reading: Reading, outcome: ProbeOutcome) -> Judged:
    finals = outcome.answers.finals
    if finals and finals[0].status == 200:
        return reading.judgement, reading.name
    if reading.judgement != "conforms" and reading.answers is None:
        return reading.judgement, f"{reading.name}, and answered with {_statuses(outcome)}"
    return probe.otherwise, f"the app was given it, and the answer is {_statuses(outcome)}"


def _statuses(outcome: ProbeOutcome) -> str:
    return ", ".join(map(str, outcome.answers.statuses)) or "none"


def _given(outcome: ProbeOutcome) -> str:
    words = "; ".join(_words(one) for one in outcome.complete)
    return f"the app was given {words}; the answer is {_statuses(outcome)}"


def _words(seen: RequestSeen) -> str:
    """For a reader: ``POST /first with 5 bytes 'hello'``."""
    target = seen.path + (f"?{seen.query}" if seen.query else "")
    words = f"{seen.method} {shown(target.encode('utf-8', 'replace'), BODY_SHOWN_BYTES)}"
    if seen.body:
        body = seen.body.encode("latin-1")
        words += f" with {len(body):,} bytes '{shown(body, BODY_SHOWN_BYTES)}'"
    if not seen.is_complete:
        words += " (not whole)"
    return words


def _with_fields(seen: RequestSeen) -> str:
    fields = ", ".join(f"{name}: {value}" for name, value in seen.headers if name.lower() != "connection")
    return f"{_words(seen)} [{shown(fields.encode('latin-1', 'replace'), FIELDS_SHOWN_BYTES)}]"
