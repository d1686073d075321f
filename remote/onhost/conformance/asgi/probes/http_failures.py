"""Apps that fail, or that do not answer: the client must not wait for ever, nor take a part for the whole."""

from __future__ import annotations

from collections.abc import Callable

from remote.onhost.conformance.asgi.exchange import AsgiObserved
from remote.onhost.conformance.asgi.probe import (
    ANSWER,
    READ,
    AsgiProbe,
    AsgiVerdict,
    allowed,
    body,
    conforms,
    length,
    outcome,
    text,
    violates,
    weak,
)
from testapp.proving.steps import Step

RULE = "ASGI, Error Handling"
START = "ASGI HTTP, Response Start - send event"
PART = body(b"a part", more=True)
FAILED = 500


def tells_failure(observed: AsgiObserved) -> AsgiVerdict:
    """Nothing was sent before: 500 tells most."""
    answer = observed.answer
    if answer is None:
        return allowed(outcome(observed)) if observed.ended else violates("the client waits for ever")
    if not answer.is_complete and not observed.ended:
        return violates("the client waits for the rest for ever")
    if answer.status == FAILED:
        return conforms(outcome(observed))
    if not answer.is_complete:
        return conforms(outcome(observed))
    return violates(f"{outcome(observed)}, as if nothing had happened")


def is_cut(observed: AsgiObserved) -> AsgiVerdict:
    """A part is on its way: only a connection that ends before the answer does tells of it."""
    answer = observed.answer
    if answer is None:
        return conforms(outcome(observed)) if observed.ended else violates("the client waits for ever")
    if answer.status == FAILED and answer.is_complete:
        return conforms(outcome(observed))
    if answer.is_complete and answer.framing != "close":
        return violates("it ends the answer as if it were whole")
    if not observed.ended:
        return violates("the client waits for the rest for ever")
    return conforms("it ends the connection before the answer's end")


def is_cut_or_whole(observed: AsgiObserved) -> AsgiVerdict:
    """The same of an app that returned too early, of which the specification says nothing."""
    verdict = is_cut(observed)
    if verdict.judgement == "violates" and observed.answer is not None and observed.answer.is_complete:
        return weak(verdict.why)
    return verdict


def is_whole(observed: AsgiObserved) -> AsgiVerdict:
    answer = observed.answer
    if answer is not None and answer.is_complete and answer.body == b"ok":
        return conforms(f"the answer is whole; {outcome(observed)}")
    return violates(outcome(observed))


def row(
    name: str, title: str, steps: list[Step], judge: Callable[[AsgiObserved], AsgiVerdict], rule: str = RULE
) -> AsgiProbe:
    return AsgiProbe(f"failure-{name}", "Apps that fail", title, rule, judge, steps=[*READ, *steps])


PROBES = (
    row("before-start", "an exception before the start", [["raise"]], tells_failure),
    row(
        "after-start", "an exception behind the start", [["send", text(length(6))], ["raise"]], tells_failure
    ),
    row(
        "in-chunks",
        "an exception within a body without a length",
        [["send", text()], ["send", PART], ["raise"]],
        is_cut,
    ),
    row(
        "in-length",
        "an exception within a body with its length",
        [["send", text(length(20))], ["send", PART], ["raise"]],
        is_cut,
    ),
    row("after-end", "an exception behind the answer", [*ANSWER, ["raise"]], is_whole),
    row("no-answer", "an app that returns without an answer", [], tells_failure),
    row("no-body", "an app that returns behind the start", [["send", text(length(6))]], tells_failure, START),
    row(
        "unfinished",
        "an app that returns within a body without a length",
        [["send", text()], ["send", PART]],
        is_cut_or_whole,
        START,
    ),
    row(
        "unfinished-length",
        "an app that returns within a body with its length",
        [["send", text(length(20))], ["send", PART]],
        is_cut,
        START,
    ),
)
