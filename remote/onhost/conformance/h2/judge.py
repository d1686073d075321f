"""What a server did with a probe's frames, held against what the rule asks for.

An error of another code than the rule's is ``weak``: the stream or the connection ends all the same, and only
its reason is told wrong. A stream error may be treated as one of the connection (RFC 9113 §5.4).
"""

from __future__ import annotations

from bench.wire.conformance import ConformanceFinding, Judgement, shown
from remote.onhost.conformance.h2.frames import GOAWAY, RST_STREAM
from remote.onhost.conformance.h2.probe import H2Outcome, H2Probe

Judged = tuple[Judgement, str]
SUITE = "h2"
MARK = b"asgibnch"
"""Of the PING that follows every probe."""


def judged(probe: H2Probe, outcome: H2Outcome) -> Judged:
    if probe.inspect is not None:
        return probe.inspect(outcome)
    if probe.asked == "served":
        return _served(probe, outcome)
    if outcome.end != "open":
        return _ended(probe, outcome)
    if probe.asked == "connection error":
        return "violates", f"the connection goes on; {_did(probe, outcome)}"
    return _of_stream(probe, outcome)


def finding_of(
    probe: H2Probe, subject: str, outcome: H2Outcome, control: Judged, *, over: str
) -> ConformanceFinding:
    """``control`` is the judgement of a plain request: without it no error conforms."""
    judgement, why = judged(probe, outcome)
    if probe.asked != "served" and judgement == "conforms" and control[0] != "conforms":
        judgement, why = "violates", f"{why}; but a plain request isn't served either: {control[1]}"
    return ConformanceFinding(
        suite=SUITE,
        probe=f"{over}-{probe.name}",
        subject=subject,
        title=probe.title,
        rule=probe.rule,
        level=probe.level,
        judgement=judgement,
        why=why,
        sent=shown(probe.sent),
        received=f"{shown(outcome.received)} [{outcome.end}]",
        app_saw="; ".join(
            f"{one.method} {one.path}{'' if one.is_complete else ' (not whole)'}" for one in outcome.seen
        ),
    )


def _served(probe: H2Probe, outcome: H2Outcome) -> Judged:
    fault: Judgement = "violates" if probe.level == "MUST" else "weak"
    for stream in probe.streams:
        if outcome.statuses.get(stream) != 200 or stream not in outcome.ended_streams:
            return fault, f"stream {stream} isn’t answered with 200; {_did(probe, outcome)}"
    if outcome.end != "open" or MARK not in outcome.marks:
        return fault, f"it is served, but the connection doesn’t go on: {_did(probe, outcome)}"
    return "conforms", "it is served, and the connection goes on"


def _ended(probe: H2Probe, outcome: H2Outcome) -> Judged:
    """The connection ended, which every error may do."""
    if probe.asked == "malformed" and _was_given(probe, outcome):
        return "violates", "the app was given it as a whole request"
    away = outcome.of(GOAWAY)
    if not away:
        return "weak", f"it ends the connection ({outcome.end}) without GOAWAY"
    error = away[-1].error
    if error not in probe.codes:
        return "weak", f"it ends the connection with {error}, not {' or '.join(probe.codes)}"
    return "conforms", f"it ends the connection with {error}"


def _of_stream(probe: H2Probe, outcome: H2Outcome) -> Judged:
    if probe.asked == "malformed" and _was_given(probe, outcome):
        return "violates", f"the app was given it as a whole request; {_did(probe, outcome)}"
    resets = [one for one in outcome.of(RST_STREAM) if one.stream in probe.streams]
    if resets:
        error = resets[0].error
        if error not in probe.codes:
            return "weak", f"it resets the stream with {error}, not {' or '.join(probe.codes)}"
        return "conforms", f"it resets the stream with {error}"
    status = outcome.statuses.get(probe.streams[0])
    if probe.asked == "malformed" and status is not None and status >= 400:
        return "conforms", f"it refuses with {status}"
    return "violates", f"neither the stream nor the connection ends; {_did(probe, outcome)}"


def _was_given(probe: H2Probe, outcome: H2Outcome) -> bool:
    return any(one.is_complete for one in outcome.seen)


def _did(probe: H2Probe, outcome: H2Outcome) -> str:
    parts = [f"stream {stream}: {status}" for stream, status in outcome.statuses.items()]
    parts += [f"RST_STREAM {one.error} on stream {one.stream}" for one in outcome.of(RST_STREAM)]
    parts += [f"GOAWAY {one.error}" for one in outcome.of(GOAWAY)]
    parts += [] if outcome.end == "open" else [f"the connection is {outcome.end}"]
    return ", ".join(parts) or "it does nothing"
