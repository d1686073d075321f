"""What h2load says of a run at its end, held against its log and against what right answers amount to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_COUNTS = re.compile(
    r"^requests: \d+ total, \d+ started, (?P<done>\d+) done, (?P<succeeded>\d+) succeeded, "
    r"\d+ failed, (?P<errored>\d+) errored, (?P<timed_out>\d+) timeout$",
    re.MULTILINE,
)
_TRAFFIC = re.compile(
    r"^traffic: \S+ \((?P<total>\d+)\) total, \S+ \((?P<heads>\d+)\) headers .*, "
    r"\S+ \((?P<bodies>\d+)\) data$",
    re.MULTILINE,
)
_IN_ONE_PIECE_BYTES = 1_000
_PROTOCOL = re.compile(r"^Application protocol: (?P<name>\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class OwnSums:
    """h2load's own sums of a run. Bytes are as they arrived: of heads, as HTTP/2 compresses them."""

    done: int  # requests that have ended: the lines of its log
    succeeded: int  # of a status below 400
    errored: int  # streams and connections that failed, those that are in no line too
    timed_out: int  # of these, those that ended with a silent connection
    total_bytes: int
    head_bytes: int
    body_bytes: int


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """What its log has of the same run, and what a right answer is."""

    lines: int
    right: int  # of the right status
    unseen: int  # whose status h2load did not see
    failed: int  # streams that failed
    in_flight_most: int
    body_bytes: int | None  # of each right answer; None: not all have one length


def parse_summary(text: str) -> OwnSums | None:
    """None where h2load's words have none: it was ended before its end."""
    counts, traffic = _COUNTS.search(text), _TRAFFIC.search(text)
    if counts is None or traffic is None:
        return None
    return OwnSums(
        done=int(counts["done"]),
        succeeded=int(counts["succeeded"]),
        errored=int(counts["errored"]),
        timed_out=int(counts["timed_out"]),
        total_bytes=int(traffic["total"]),
        head_bytes=int(traffic["heads"]),
        body_bytes=int(traffic["bodies"]),
    )


def protocol_of(text: str) -> str | None:
    """What the first connection came to speak: ``h2``, ``h2c``, ``http/1.1``; None: there was none yet."""
    found = _PROTOCOL.search(text)
    return None if found is None else found["name"]


def differences(summary: OwnSums, answers: LoggedRun) -> Iterator[str]:
    """What can't be so: each line says it of h2load, and voids the run."""
    if summary.done != answers.lines:
        yield f"h2load has counted {summary.done} requests and logged {answers.lines}"
    unlogged = summary.errored - answers.failed
    if unlogged:
        silent = f", {summary.timed_out} of them after a silence" if summary.timed_out else ""
        yield (
            f"h2load has lost {unlogged} requests with their connections{silent}: its log doesn't say when, "
            "so they are in no second"
        )
    if answers.body_bytes is None and answers.unseen:
        yield (
            f"h2load did not see the status of {answers.unseen} answers, and the length of right ones isn't "
            "known"
        )
    good = answers.right + answers.unseen
    if answers.body_bytes is not None and good == answers.lines:
        more = summary.body_bytes - good * answers.body_bytes
        if not _may_be_in_flight(more, answers.in_flight_most, answers.body_bytes):
            yield (
                f"the bodies of {good} answers have {summary.body_bytes} bytes in all, and right ones have "
                f"{good * answers.body_bytes}"
            )


def _may_be_in_flight(more_bytes: int, requests_most: int, body_bytes: int) -> bool:
    """Whether so many bytes may be of answers that were under way at the end. A short one comes whole."""
    is_whole = body_bytes >= _IN_ONE_PIECE_BYTES or more_bytes % max(body_bytes, 1) == 0
    return is_whole and 0 <= more_bytes <= requests_most * body_bytes
