"""What a probe of HTTP/1.1 is: the bytes it sends, and what all that a server may make of them is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.wire.conformance import Judgement, Level, RequestSeen
from remote.onhost.conformance.http1.answers import AnswersRead

PLAIN = "line-plain"
"""The twin of probes that have none of their own: a plain request."""
SMUGGLED = "/smuggled"
AFTER_PATH = "/after"
HOST = b"Host: @HOST@\r\n"
AFTER = b"GET /after HTTP/1.1\r\nHost: @HOST@\r\nConnection: close\r\n\r\n"
"""What follows a probed request on its connection: it is served where the server is in step and goes on, and
then ends the connection."""
SMUGGLED_GET = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
"""What must stay within the body that it stands in."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request as the app should have been given it. None: as it may be."""

    path: str | None = "/first"
    method: str | None = "GET"
    body: bytes | None = b""
    # Each field's values; none: it must not be there.
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def is_met_by(self, seen: RequestSeen) -> bool:
        return (
            self.path in (None, seen.path)
            and self.method in (None, seen.method)
            and (self.body is None or self.body.decode("latin-1") == seen.body)
            and all(seen.header(name) == values for name, values in self.fields.items())
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the bytes, by the requests that the app was given whole, and what it is worth.

    ``goes_on``: whether the request that follows was served, or else the connection ended; None: either way.
    ``answers``: how many answers there must be, the first of which is a 200; None: it doesn't matter.
    """

    name: str
    judgement: Judgement
    requests: tuple[Wanted, ...] = (Wanted(),)
    goes_on: bool | None = True
    answers: int | None = None


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """What the server did. ``end``: "closed", "reset", or "open" where it waits for more."""

    received: bytes
    answers: AnswersRead
    end: str
    seen: tuple[RequestSeen, ...]
    step_received: tuple[bytes, ...] = ()  # what had come before each step but the first was sent

    @property
    def complete(self) -> tuple[RequestSeen, ...]:
        """The requests that the app was given whole."""
        return tuple(one for one in self.seen if one.is_complete)

    @property
    def goes_on(self) -> bool:
        return any(one.path == AFTER_PATH for one in self.complete)


Judged = tuple[Judgement, str]
"""With what the server did, for a reader."""


@dataclass(frozen=True, slots=True)
class Http1Probe:
    """One row. Judgements are for what a server may do; ``otherwise`` is for what is none of these.

    ``statuses`` are those of a refusal as the rule has it; empty: any from 400 on but 500. ``twin`` names a
    probe whose bytes are alike and valid: a refusal counts only where that one is served. ``inspect`` stands
    in place of the judgements where a rule is about the answers; nothing was smuggled in what it gets.
    """

    name: str
    title: str
    rule: str
    level: Level
    steps: tuple[bytes, ...]
    readings: tuple[Reading, ...] = ()
    statuses: tuple[int, ...] = ()
    refused: Judgement = "conforms"
    refused_otherwise: Judgement = "conforms"
    refused_and_goes_on: Judgement = "conforms"
    closed: Judgement = "conforms"
    waits: Judgement = "weak"
    otherwise: Judgement = "violates"
    twin: str = PLAIN
    inspect: Callable[[ProbeOutcome], Judged] | None = None
    ends_sending: bool = False  # closes its own direction once nothing more comes
    answers_head: bool = False  # the first answer is that of HEAD
    byte_by_byte: bool = False

    @property
    def sent(self) -> bytes:
        return b"".join(self.steps)


@dataclass(frozen=True, slots=True)
class ProbedSubject:
    """The probes of one file, under one heading."""

    title: str
    place: int
    probes: tuple[Http1Probe, ...]


def failing(level: Level) -> Judgement:
    """What not doing it is worth."""
    judgements: dict[Level, Judgement] = {"MUST": "violates", "SHOULD": "weak", "MAY": "allowed"}
    return judgements[level]


def get(*fields: bytes, line: bytes = b"GET /first HTTP/1.1", after: bytes = AFTER) -> bytes:
    """A request without a body. Without ``fields`` it has a Host."""
    return line + b"\r\n" + (b"".join(fields) or HOST) + b"\r\n" + after


def post(*fields: bytes, body: bytes = b"hello", after: bytes = AFTER) -> bytes:
    return b"POST /first HTTP/1.1\r\n" + HOST + b"".join(fields) + b"\r\n" + body + after


def chunked(body: bytes, *, after: bytes = AFTER) -> bytes:
    """A request whose body is these bytes, said to be chunked."""
    return post(b"Transfer-Encoding: chunked\r\n", body=body, after=after)


def posted(body: bytes = b"hello", **fields: tuple[str, ...]) -> Wanted:
    named = {name.replace("_", "-"): values for name, values in fields.items()}
    return Wanted("/first", "POST", body, named)


def serves(
    name: str,
    title: str,
    rule: str,
    sent: bytes | tuple[bytes, ...],
    wanted: Wanted | tuple[Wanted, ...] = Wanted(),  # it is frozen
    *,
    level: Level = "MUST",
    goes_on: bool | None = True,
    byte_by_byte: bool = False,
) -> Http1Probe:
    """Valid bytes, which are to be served; it is a twin of those that are not."""
    requests = wanted if isinstance(wanted, tuple) else (wanted,)
    worse = failing(level)
    return Http1Probe(
        name,
        title,
        rule,
        level,
        sent if isinstance(sent, tuple) else (sent,),
        (
            Reading("it is served as it was sent", "conforms", requests, goes_on),
            Reading(
                "it is served as it was sent, and then the connection is closed",
                "weak" if worse == "violates" else worse,
                requests,
                goes_on=False,
                answers=len(requests),
            ),
        ),
        refused=worse,
        refused_otherwise=worse,
        refused_and_goes_on=worse,
        closed=worse,
        waits=worse,
        otherwise=worse,
        byte_by_byte=byte_by_byte,
    )


def must_refuse(
    name: str,
    title: str,
    rule: str,
    sent: bytes,
    *readings: Reading,
    twin: str,
    statuses: tuple[int, ...] = (400,),
    closes: bool = False,
    silence: Judgement = "violates",
) -> Http1Probe:
    """MUST be answered with one of ``statuses``; ``closes``: and the connection closed.

    ``readings`` are those that the rule allows beside it.
    """
    return Http1Probe(
        name,
        title,
        rule,
        "MUST",
        (sent,),
        readings,
        statuses,
        refused_otherwise="violates",
        refused_and_goes_on="violates" if closes else "conforms",
        closed=silence,
        waits="violates",
        twin=twin,
    )


def should_refuse(
    name: str,
    title: str,
    rule: str,
    sent: bytes,
    *readings: Reading,
    twin: str,
    statuses: tuple[int, ...] = (),
    otherwise: Judgement = "weak",
) -> Http1Probe:
    """SHOULD be answered with an error; another that is read in none of ``readings`` is ``otherwise``."""
    return Http1Probe(
        name,
        title,
        rule,
        "SHOULD",
        (sent,),
        readings,
        statuses,
        refused_otherwise="weak",
        closed="weak",
        otherwise=otherwise,
        twin=twin,
    )


def may_refuse(
    name: str, title: str, rule: str, sent: bytes, *readings: Reading, twin: str, level: Level = "MAY"
) -> Http1Probe:
    """To be refused, or read in one of ``readings``; what is neither is against the rule."""
    return Http1Probe(name, title, rule, level, (sent,), readings, waits="violates", twin=twin)


def inspected(
    name: str,
    title: str,
    rule: str,
    level: Level,
    sent: bytes | tuple[bytes, ...],
    inspect: Callable[[ProbeOutcome], Judged],
    *,
    answers_head: bool = False,
    ends_sending: bool = False,
) -> Http1Probe:
    """What is judged by its answers."""
    return Http1Probe(
        name,
        title,
        rule,
        level,
        sent if isinstance(sent, tuple) else (sent,),
        inspect=inspect,
        answers_head=answers_head,
        ends_sending=ends_sending,
    )


ALLOWED = Reading("it is served", "allowed")
AS_POST = Reading("it is served", "allowed", (posted(),))
