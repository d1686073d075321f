"""The controller's end of a connection to a host's guard: requests out, answers and events in."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Generator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

import msgspec

from bench.environment.hosts import HostFacts
from bench.errors import AsgibenchError, CommandFailed, ConnectionLost, DiskFull, HostBusy, HostUnsuitable
from bench.wire.attach import ATTACH_EVENTS, AttachOrder, Greeting, HostHeld, NotAttached
from bench.wire.codec import decode_tagged, encode_line
from bench.wire.guard import REQUESTS, GuardFailure, ProcessEnded
from remote import bootstrap
from remote.runner import HostConnection, Stream

ANSWER_SECONDS = 20.0
VERBS = {kind: verb for verb, kind in REQUESTS.items()}
COME_BACK = "See that the host is up, then run the command again with --resume"
OTHER_FOLDER = "Name another folder in asgibench_workdir"
Answer = TypeVar("Answer")


class GuardRefusal(CommandFailed):
    """The guard could not do what was asked; ``kind`` is GuardFailure's."""

    def __init__(self, host: str, kind: str, text: str) -> None:
        super().__init__(f"{host}: {text.strip().splitlines()[-1]}", remedy="", detail=text)
        self.kind = kind


class _Envelope(msgspec.Struct, frozen=True):
    """The keys of a line that say of which kind it is."""

    id: int = -1
    ok: bool = True
    event: str = ""


class GuardLink:
    """Made by ``attach``. Any thread may ask; answers come in any order."""

    def __init__(
        self, facts: HostFacts, stream: Stream, greeting: Greeting, exits: Mapping[str, int]
    ) -> None:
        self.greeting = greeting
        self._facts = facts
        self._stream = stream
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[bytes]] = {}
        self._exits = dict(exits)
        self._lock = threading.Lock()
        self._lost: ConnectionLost | None = None
        self._closed = False

    def ask(self, request: object, kind: type[Answer], patience_seconds: float) -> Answer:
        """Raises GuardRefusal, DiskFull, and ConnectionLost where no answer comes in time."""
        number, verb = next(self._numbers), VERBS[type(request)]
        future: Future[bytes] = Future()
        with self._lock:
            if self._lost is not None:
                raise self._lost
            self._waiting[number] = future
            self._stream.send(encode_line(request, id=number, do=verb))
        try:
            line = future.result(patience_seconds)
        except FutureTimeoutError as error:
            raise ConnectionLost(
                f"{self._facts.host}: no answer to `{verb}` within {patience_seconds:g} s", remedy=COME_BACK
            ) from error
        if not msgspec.json.decode(line, type=_Envelope).ok:
            raise self._refusal(msgspec.json.decode(line, type=GuardFailure))
        return msgspec.json.decode(line, type=kind)

    @property
    def exits(self) -> dict[str, int]:
        """The status of each process that has ended by itself, by name."""
        return dict(self._exits)

    def exit_status(self, name: str) -> int | None:
        return self._exits.get(name)

    def forget_exit(self, name: str) -> None:
        """Before a process is started under a name that an earlier one had."""
        self._exits.pop(name, None)

    def listen(self, lines: Generator[bytes, None, None]) -> None:
        """Take every line until the connection ends; run in a thread of its own."""
        try:
            for line in lines:
                self._take(line)
        except OSError as error:
            self._end(str(error))
        else:
            self._end("the guard's connection ended")

    def is_lost(self) -> bool:
        return self._lost is not None

    def lose(self, why: str) -> None:
        """Give the connection up: every thread that waits for an answer gets ConnectionLost."""
        self._end(why)
        self._stream.close()

    def close(self) -> None:
        self._closed = True
        self._stream.close()

    def _take(self, line: bytes) -> None:
        envelope = msgspec.json.decode(line, type=_Envelope)
        if envelope.event == "exit":
            ended = msgspec.json.decode(line, type=ProcessEnded)
            self._exits[ended.name] = ended.exit_status
            return
        with self._lock:
            future = self._waiting.pop(envelope.id, None)
        if future is not None:
            future.set_result(line)

    def _end(self, why: str) -> None:
        with self._lock:
            self._lost = ConnectionLost(
                f"{self._facts.host}: the connection has gone ({'closed' if self._closed else why})",
                remedy=COME_BACK,
            )
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(self._lost)

    def _refusal(self, failure: GuardFailure) -> AsgibenchError:
        if failure.kind == "ENOSPC":
            return _disk_full(self._facts, failure.error)
        return GuardRefusal(self._facts.host, failure.kind, failure.error)


def attach(
    connection: HostConnection, facts: HostFacts, order: AttachOrder, exits: Mapping[str, int] = {}
) -> GuardLink:
    """Join the session's guard on the host, started if none runs.

    ``exits`` are those of an earlier link to it. Raises HostBusy, HostUnsuitable, DiskFull.
    """
    stream = connection.stream(bootstrap.command(facts.python_path, bootstrap.GUARD))
    stream.send(bootstrap.modules(bootstrap.GUARD) + encode_line(order))
    lines = stream.lines()
    try:
        greeting = _greeting(facts, order, next(lines, b""))
    except BaseException:
        lines.close()
        stream.close()
        raise
    link = GuardLink(facts, stream, greeting, exits)
    threading.Thread(target=link.listen, args=(lines,), name=f"guard-{facts.host}", daemon=True).start()
    return link


def _greeting(facts: HostFacts, order: AttachOrder, line: bytes) -> Greeting:
    event = (
        decode_tagged(ATTACH_EVENTS, "event", line) if line else NotAttached("failed", "it printed nothing")
    )
    if isinstance(event, Greeting):
        return event
    if isinstance(event, HostHeld):
        minutes = (time.time() - event.since) / 60
        raise HostBusy(
            f"{facts.host} is in use by {event.owner}, for {minutes:.0f} min",
            remedy="Wait for it; a session that has died gives the host back within "
            f"{order.lease_seconds:g} s",
        )
    assert isinstance(event, NotAttached)
    raise _not_attached(facts, event)


def _not_attached(facts: HostFacts, event: NotAttached) -> AsgibenchError:
    if event.kind == "not_ours":
        return HostUnsuitable(
            f"{facts.host}: {facts.workdir} is not empty and was not made by asgibench",
            remedy=f"{OTHER_FOLDER}: everything in it is ours to remove",
        )
    if event.kind == "anothers":
        return HostUnsuitable(f"{facts.host}: {facts.workdir} belongs to another user", remedy=OTHER_FOLDER)
    if event.kind == "ENOSPC":
        return _disk_full(facts, event.text)
    return HostUnsuitable(
        f"{facts.host}: the guard did not start in {facts.workdir} ({event.text})",
        remedy=f"See that {facts.user} may write there, and {facts.workdir}/guard/guard.log; "
        "asgibench_workdir names another folder",
    )


def _disk_full(facts: HostFacts, text: str) -> DiskFull:
    return DiskFull(f"{facts.host}: no space left ({text})", remedy=f"Free room below {facts.workdir}")
