"""A host under its guard: the one way by which processes are started, files moved and ports asked for."""

from __future__ import annotations

import base64
import getpass
import itertools
import platform
import secrets
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.environment.clocks import ClockReading
from bench.environment.hosts import Host, HostFacts
from bench.environment.ports import PortProblem
from bench.errors import ConnectionLost
from bench.judge.thresholds import CLOCK_REMARK_SECONDS
from bench.wire.attach import AttachOrder
from bench.wire.guard import (
    AskClock,
    CheckPort,
    ClockTime,
    CommandEnded,
    Done,
    FilePiece,
    FileTail,
    PortState,
    ProcessExit,
    ProcessStarted,
    ProcessTold,
    ReadFile,
    ReleaseHost,
    RemovePath,
    RenewLease,
    RunCommand,
    StartProcess,
    StopProcess,
    TailFile,
    TellProcess,
    WriteFile,
)
from remote.guard_link import ANSWER_SECONDS, Answer, GuardRefusal, attach
from remote.runner import Completed, HostCommand, HostConnection, Runner, check_completed, too_slow

LEASE_SECONDS = 45.0
RENEW_SECONDS = 5.0
RENEW_PATIENCE_SECONDS = 10.0
READ_PATIENCE_SECONDS = 60.0
RELEASE_PATIENCE_SECONDS = 20.0
# Beyond the time that the request itself may take.
SPARE_SECONDS = 10.0
INLINE_STDIN_BYTES = 200_000
SPOOL_SECONDS = 600.0
CLOCK_ROUND_TRIPS = 5
CLOCK_ROUND_TRIPS_AT_MOST = 15
MARKER = ".asgibench"
"""In every work folder that we made: hosts.clean removes no folder without it."""


class GuardSession(msgspec.Struct, frozen=True):
    """Who holds the hosts."""

    token: str  # lets the same session come back after a lost connection
    owner: str  # what another user reads who finds the host held
    lease_seconds: float = LEASE_SECONDS


def new_session(purpose: str) -> GuardSession:
    """``purpose`` is what another user reads who finds the host held."""
    return GuardSession(secrets.token_hex(16), f"{getpass.getuser()}@{platform.node()}, {purpose}")


class GuardedHost(Runner):
    """One host, its facts, and the guard's lease on it, renewed until ``release`` or ``abandon``."""

    def __init__(self, connection: HostConnection, facts: HostFacts, session: GuardSession) -> None:
        """Raises HostBusy where another session holds the host, HostUnsuitable where no guard can start."""
        self.connection = connection
        self.facts = facts
        self.host: Host = connection.host
        self.workdir = facts.workdir
        self._order = AttachOrder(
            workdir=facts.workdir,
            marker=MARKER,
            session=session.token,
            owner=session.owner,
            lease_seconds=session.lease_seconds,
        )
        self._spools = itertools.count(1)
        self._ended = threading.Event()
        self._link = attach(connection, facts, self._order)
        threading.Thread(target=self._renew, name=f"lease-{self.host.name}", daemon=True).start()

    @property
    def guard_pid(self) -> int:
        """The guard's own process on the host."""
        return self._link.greeting.pid

    # -- processes

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: str,
        env: Mapping[str, str] = {},
        cwd: str | None = None,
        cores: Sequence[int] | None = None,
        user: str | None = None,
    ) -> int:
        """Start a process that goes on; its pid. Paths of ``log`` and ``cwd`` are below the work folder."""
        request = StartProcess(
            name=name,
            argv=tuple(argv),
            log=log,
            env=dict(env),
            cwd=cwd,
            cores=self._pinned(cores),
            user=user,
        )
        self._link.forget_exit(name)
        return self._ask(request, ProcessStarted).pid

    def stop(self, name: str, *, signal: str = "SIGTERM", grace_seconds: float = 10.0) -> ProcessExit:
        """Signal the leader, wait, then kill what is left of its family. Returns when none is left."""
        request = StopProcess(name, signal, grace_seconds)
        return self._ask(request, ProcessExit, grace_seconds + SPARE_SECONDS)

    def exit_status(self, name: str) -> int | None:
        """The status of a process that has ended by itself; None while it runs. Costs no round trip."""
        return self._link.exit_status(name)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Path = b"",
        env: Mapping[str, str] = {},
        timeout_seconds: float = 60,
        check: bool = True,
        cwd: str | None = None,
        cores: Sequence[int] | None = None,
    ) -> Completed:
        """As every Runner; also in a folder and on cores of its own."""
        command = HostCommand(tuple(argv), stdin, env, timeout_seconds, cwd, self._pinned(cores))
        completed = self.execute(command)
        return check_completed(self.host, command, completed) if check else completed

    def execute(self, command: HostCommand) -> Completed:
        spooled = self._spool(command.stdin)
        inline = command.stdin if spooled is None and isinstance(command.stdin, bytes) else b""
        request = RunCommand(
            argv=command.argv,
            timeout_seconds=command.timeout_seconds,
            stdin=base64.b64encode(inline).decode(),
            stdin_file=spooled,
            env=dict(command.env),
            cwd=command.cwd,
            cores=command.cores,
        )
        ended = self._ask(request, CommandEnded, command.timeout_seconds + SPARE_SECONDS)
        if ended.timed_out:
            raise too_slow(self.host, command)
        return Completed(ended.exit_status, base64.b64decode(ended.stdout), base64.b64decode(ended.stderr))

    def _spool(self, stdin: bytes | Path) -> str | None:
        """Large input goes to a file beside the guard first, on a channel of its own."""
        if isinstance(stdin, bytes) and len(stdin) <= INLINE_STDIN_BYTES:
            return None
        path = f"{self.workdir}/guard/stdin-{next(self._spools)}"
        write = ["sh", "-c", 'umask 077 && cat > "$0"', path]
        self.connection.run(write, stdin=stdin, timeout_seconds=SPOOL_SECONDS)
        return path

    def _pinned(self, cores: Sequence[int] | None) -> tuple[int, ...] | None:
        return tuple(cores) if cores and self.facts.can_pin else None

    # -- files, ports, clock

    def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        self._ask(WriteFile(path, base64.b64encode(data).decode(), mode), Done)

    def read(self, path: str) -> bytes:
        """The whole file, compressed on its way."""
        pieces: list[bytes] = []
        more = True
        while more:
            offset = sum(map(len, pieces))
            piece = self._ask(ReadFile(path, offset), FilePiece, READ_PATIENCE_SECONDS)
            pieces.append(zlib.decompress(base64.b64decode(piece.data)))
            more = piece.more
        return b"".join(pieces)

    def tail(self, path: str, size_bytes: int = 4_000) -> str:
        """The end of a log; "" where there is none."""
        return self.tail_of(path, size_bytes).text

    def tail_of(self, path: str, size_bytes: int) -> FileTail:
        """The end of a log with its whole size; of a file that isn't there as of an empty one."""
        try:
            return self._ask(TailFile(path, size_bytes), FileTail)
        except GuardRefusal as refusal:
            if refusal.kind == "ENOENT":
                return FileTail("", 0)
            raise

    def tell(self, socket_path: str, line: bytes, *, patience_seconds: float = 5.0) -> str:
        """Send one line to a process of ours that listens on a unix socket; returns the line it answers."""
        request = TellProcess(socket_path, line.decode().rstrip("\n"), patience_seconds)
        return self._ask(request, ProcessTold, patience_seconds + SPARE_SECONDS / 2).line

    def remove(self, path: str) -> None:
        self._ask(RemovePath(path), Done)

    def port_problem(self, address: str, port: int) -> PortProblem | None:
        """Why a server could not listen there; None if it could."""
        state = self._ask(CheckPort(address, port), PortState)
        return PortProblem.of(state)

    def free_port(self, address: str) -> int:
        """A port that is free now, chosen by the host's system."""
        return self._ask(CheckPort(address, 0, bind_only=True), PortState).port

    def read_clocks(self) -> ClockReading:
        """The host's clocks against ours, by the quickest of a few round trips (of more if all are slow)."""
        best: ClockReading | None = None
        for count in range(CLOCK_ROUND_TRIPS_AT_MOST):
            if best is not None and count >= CLOCK_ROUND_TRIPS and best.error <= CLOCK_REMARK_SECONDS:
                break
            sent = time.monotonic()
            theirs = self._ask(AskClock(), ClockTime)
            received = time.monotonic()
            one = _clock_reading(sent, theirs, received, wall_lead=time.time() - time.monotonic())
            if best is None or one.error < best.error:
                best = one
        assert best is not None
        return best

    # -- the lease

    def is_lost(self) -> bool:
        return self._link.is_lost()

    def reattach(self, connection: HostConnection) -> None:
        """Go on over a new connection, before the lease has expired."""
        self.connection.close()
        self.connection = connection
        self._link = attach(connection, self.facts, self._order, self._link.exits)

    def release(self) -> None:
        """Stop everything of ours on the host and give it back. Returns when nothing is left."""
        try:
            self._ask(ReleaseHost(), Done, RELEASE_PATIENCE_SECONDS)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the connection; what still runs there is stopped by the guard when the lease expires."""
        self._ended.set()
        self._link.close()
        self.connection.close()

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            if not self._link.is_lost():
                try:
                    self._ask(RenewLease(), Done, RENEW_PATIENCE_SECONDS)
                except ConnectionLost as error:
                    # A host that is off, or behind a closed firewall, says nothing at all.
                    self._link.lose(error.message)

    def _ask(self, request: object, kind: type[Answer], patience_seconds: float = ANSWER_SECONDS) -> Answer:
        return self._link.ask(request, kind, patience_seconds)


def _clock_reading(sent: float, theirs: ClockTime, received: float, *, wall_lead: float) -> ClockReading:
    """``sent`` and ``received`` are of our monotonic clock; ``wall_lead`` is of ours, as in ClockReading."""
    middle = (sent + received) / 2
    return ClockReading(
        at=middle,
        monotonic_offset=theirs.monotonic - middle,
        wall_offset=theirs.time - (middle + wall_lead),
        error=(received - sent) / 2,
        wall_lead=theirs.time - theirs.monotonic,
    )
