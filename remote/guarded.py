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
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any

import msgspec

from bench.environment.hosts import Host, HostFacts
from bench.errors import AsgibenchError, CommandFailed, ConnectionLost, DiskFull, HostBusy, HostUnsuitable
from remote.ssh.connect import Completed, Connection, Stream, check_completed

LEASE_SECONDS = 45.0
RENEW_SECONDS = 5.0
RENEW_PATIENCE_SECONDS = 10.0
ANSWER_SECONDS = 20.0
INLINE_STDIN_BYTES = 200_000
MARKER = ".asgibench"
"""In every work folder that we made: hosts.clean removes no folder without it."""
NOT_OURS_STATUS = 73
ANOTHERS_STATUS = 74
KEEP_SCRIPT = (
    f'umask 077; if [ -e "$1" ] && [ ! -O "$1" ]; then exit {ANOTHERS_STATUS}; fi; '
    'if [ -e "$1" ] && [ ! -e "$1/$2" ] && [ -n "$(ls -A "$1")" ]; then '
    f"exit {NOT_OURS_STATUS}; fi; "
    'mkdir -p "$1" && : > "$1/$2" && cat > "$0.new" && mv "$0.new" "$0"'
)


class GuardSession(msgspec.Struct, frozen=True):
    """Who holds the hosts. ``token`` lets the same session come back after a lost connection."""

    token: str
    owner: str
    lease_seconds: float = LEASE_SECONDS


def new_session(purpose: str) -> GuardSession:
    """``purpose`` is what another user reads who finds the host busy."""
    return GuardSession(secrets.token_hex(16), f"{getpass.getuser()}@{platform.node()}, {purpose}")


class ProcessExit(msgspec.Struct, frozen=True):
    """How a stopped process ended. ``killed`` counts the processes that SIGKILL had to end."""

    exit_status: int
    killed: int
    seconds: float


class GuardRefusal(CommandFailed):
    """The guard could not do what was asked; ``kind`` says why in one word."""

    def __init__(self, host: str, kind: str, text: str) -> None:
        super().__init__(f"{host}: {text.strip().splitlines()[-1]}", remedy="", detail=text)
        self.kind = kind


class GuardedHost:
    """One host, its facts, and the guard's lease on it, renewed until ``release`` or ``abandon``."""

    def __init__(self, connection: Connection, facts: HostFacts, session: GuardSession) -> None:
        """Raises HostBusy where another session holds the host."""
        self.connection = connection
        self.facts = facts
        self.host: Host = connection.host
        self.workdir = facts.workdir
        self._session = session
        self._numbers = itertools.count(1)
        self._answers: dict[int, Future[dict[str, Any]]] = {}
        self._exits: dict[str, int] = {}
        self._lock = threading.Lock()
        self._lost: AsgibenchError | None = None
        self._ended = threading.Event()
        self._stream = self._attach()
        threading.Thread(target=self._renew, name=f"lease-{self.host.name}", daemon=True).start()

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
        answer = self._ask(
            "start",
            name=name,
            argv=list(argv),
            log=log,
            env=dict(env),
            cwd=cwd,
            cores=list(cores) if cores and self.facts.can_pin else None,
            user=user,
        )
        return int(answer["pid"])

    def stop(self, name: str, *, signal: str = "SIGTERM", grace_seconds: float = 10.0) -> ProcessExit:
        """Signal the leader, wait, then kill what is left of its family. Returns when none is left."""
        answer = self._ask(
            "stop", name=name, signal=signal, grace_seconds=grace_seconds, patience_seconds=grace_seconds + 10
        )
        return msgspec.convert(
            {key: answer[key] for key in ("exit_status", "killed", "seconds")}, ProcessExit, strict=False
        )

    def exit_status(self, name: str) -> int | None:
        """The status of a process that has ended by itself; None while it runs. Costs no round trip."""
        return self._exits.get(name)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Path = b"",
        env: Mapping[str, str] = {},
        timeout_seconds: float = 60,
        check: bool = True,
        user: str | None = None,
        cwd: str | None = None,
        cores: Sequence[int] | None = None,
    ) -> Completed:
        """Run a command to its end under the guard; the same contract as Connection.run."""
        spooled = self._spool(stdin)
        answer = self._ask(
            "run",
            argv=list(argv),
            stdin=base64.b64encode(stdin).decode() if spooled is None and isinstance(stdin, bytes) else "",
            stdin_file=spooled,
            remove_stdin_file=spooled is not None,
            env=dict(env),
            timeout_seconds=timeout_seconds,
            user=user,
            cwd=cwd,
            cores=list(cores) if cores and self.facts.can_pin else None,
            patience_seconds=timeout_seconds + 10,
        )
        if answer["timed_out"]:
            raise CommandFailed(
                f"{self.host.name}: `{' '.join(argv)[:160]}` took longer than {timeout_seconds:g} s",
                remedy="see what keeps the host busy",
            )
        completed = Completed(
            answer["exit_status"], base64.b64decode(answer["stdout"]), base64.b64decode(answer["stderr"])
        )
        return check_completed(self.host, argv, completed) if check else completed

    def _spool(self, stdin: bytes | Path) -> str | None:
        """Large input goes to a file beside the guard first, on a channel of its own."""
        if isinstance(stdin, bytes) and len(stdin) <= INLINE_STDIN_BYTES:
            return None
        path = f"{self.workdir}/guard/stdin-{next(self._numbers)}"
        self.connection.run(["sh", "-c", 'umask 077 && cat > "$0"', path], stdin=stdin, timeout_seconds=600)
        return path

    # -- files, ports, clock

    def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        self._ask("write", path=path, data=base64.b64encode(data).decode(), mode=mode)

    def read(self, path: str) -> bytes:
        """The whole file, compressed on its way."""
        pieces: list[bytes] = []
        more = True
        while more:
            offset = sum(map(len, pieces))
            answer = self._ask("read", path=path, offset=offset, patience_seconds=60)
            pieces.append(zlib.decompress(base64.b64decode(answer["data"])))
            more = answer["more"]
        return b"".join(pieces)

    def tail(self, path: str, size_bytes: int = 4_000) -> str:
        """The end of a log; "" where there is none."""
        try:
            return str(self._ask("tail", path=path, bytes=size_bytes)["text"])
        except GuardRefusal as refusal:
            if refusal.kind == "ENOENT":
                return ""
            raise

    def tell(self, socket_path: str, line: bytes, *, patience_seconds: float = 5.0) -> str:
        """Send one line to a process of ours that listens on a unix socket; returns the line it answers."""
        answer = self._ask(
            "tell",
            socket=socket_path,
            line=line.decode().rstrip("\n"),
            socket_patience_seconds=patience_seconds,
            patience_seconds=patience_seconds + 5,
        )
        return str(answer["line"])

    def remove(self, path: str) -> None:
        self._ask("remove", path=path)

    def port_problem(self, address: str, port: int) -> str:
        """Why the server could not listen there; "" if it could."""
        answer = self._ask("port", address=address, port=port)
        return "" if answer["free"] else str(answer["problem"] or "something answers there already")

    def free_port(self, address: str) -> int:
        """A port that is free now, chosen by the host's system."""
        return int(self._ask("port", address=address, port=0, bind_only=True)["port"])

    def clock_offset(self, samples: int = 5) -> tuple[float, float]:
        """(host's clock minus ours, its error bound) in seconds, from the quickest of a few round trips."""
        best = (0.0, float("inf"))
        for _ in range(samples):
            sent = time.time()
            theirs = float(self._ask("clock")["time"])
            received = time.time()
            half = (received - sent) / 2
            if half < best[1]:
                best = (theirs - sent - half, half)
        return best

    # -- the lease

    def is_lost(self) -> bool:
        return self._lost is not None

    def reattach(self, connection: Connection) -> None:
        """Go on over a new connection, before the lease has expired."""
        self.connection.close()
        self.connection = connection
        self._lost = None
        self._stream = self._attach()

    def release(self) -> None:
        """Stop everything of ours on the host and give it back. Returns when nothing is left."""
        try:
            self._ask("release", patience_seconds=20)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the connection; what still runs there is stopped by the guard when the lease expires."""
        self._ended.set()
        self._stream.close()
        self.connection.close()

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            if self._lost is None:
                try:
                    self._ask("renew", patience_seconds=RENEW_PATIENCE_SECONDS)
                except ConnectionLost as error:
                    # A host that is off, or behind a closed firewall, says nothing at all.
                    self._lose(error.message)
                    self._stream.close()

    def _attach(self) -> Stream:
        script = (Path(__file__).parent / "onhost/guard.py").read_bytes()
        place = f"{self.workdir}/guard-{zlib.crc32(script):08x}.py"
        kept = self.connection.run(
            ["sh", "-c", KEEP_SCRIPT, place, self.workdir, MARKER], stdin=script, check=False
        )
        if kept.exit_status == NOT_OURS_STATUS:
            raise HostUnsuitable(
                f"{self.host.name}: {self.workdir} is not empty and was not made by asgibench",
                remedy="name another folder in asgibench_workdir: everything in it is ours to remove",
            )
        if kept.exit_status == ANOTHERS_STATUS:
            raise HostUnsuitable(
                f"{self.host.name}: {self.workdir} belongs to another user",
                remedy="name another folder in asgibench_workdir",
            )
        check_completed(self.host, ["sh", "-c", "keep the guard"], kept)
        stream = self.connection.stream(
            [
                self.facts.python_path,
                "-I",
                place,
                "attach",
                "--workdir",
                self.workdir,
                "--session",
                self._session.token,
                "--owner",
                self._session.owner,
                "--lease-seconds",
                str(self._session.lease_seconds),
            ]
        )
        lines = stream.lines()
        try:
            self._check_greeting(next(lines, b""))
        except BaseException:
            lines.close()
            stream.close()
            raise
        threading.Thread(
            target=self._listen, args=(lines,), name=f"guard-{self.host.name}", daemon=True
        ).start()
        return stream

    def _check_greeting(self, line: bytes) -> None:
        if not line:
            raise HostUnsuitable(
                f"{self.host.name}: the guard did not start in {self.workdir}",
                remedy=f"see that {self.facts.user} may write there, and {self.workdir}/guard/guard.log; "
                "asgibench_workdir names another folder",
            )
        greeting = msgspec.json.decode(line)
        if "busy" in greeting:
            held = greeting["busy"]
            minutes = (time.time() - held["since"]) / 60
            raise HostBusy(
                f"{self.host.name} is in use by {held['owner']}, for {minutes:.0f} min",
                remedy=f"wait for it; a session that has died gives the host back within {LEASE_SECONDS:g} s",
            )

    def _listen(self, lines: Any) -> None:
        try:
            for line in lines:
                self._take(msgspec.json.decode(line))
        except OSError as error:
            self._lose(str(error))
        else:
            self._lose("the guard's connection ended")

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("event") == "exit":
            self._exits[message["name"]] = message["exit_status"]
            return
        with self._lock:
            future = self._answers.pop(message["id"], None)
        if future is not None:
            future.set_result(message)

    def _lose(self, why: str) -> None:
        with self._lock:
            if self._ended.is_set():
                why = "closed"
            self._lost = ConnectionLost(
                f"{self.host.name}: the connection has gone ({why})",
                remedy="see that the host is up, then run the command again with --resume",
            )
            waiting, self._answers = self._answers, {}
        for future in waiting.values():
            future.set_exception(self._lost)

    def _ask(self, verb: str, *, patience_seconds: float = ANSWER_SECONDS, **fields: Any) -> dict[str, Any]:
        number = next(self._numbers)
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            if self._lost is not None:
                raise self._lost
            self._answers[number] = future
            if verb == "start":
                self._exits.pop(fields["name"], None)
            self._stream.send(msgspec.json.encode({"id": number, "do": verb, **fields}) + b"\n")
        try:
            answer = future.result(patience_seconds)
        except FutureTimeoutError as error:
            raise ConnectionLost(
                f"{self.host.name}: no answer to `{verb}` within {patience_seconds:g} s",
                remedy="see that the host is up, then run the command again with --resume",
            ) from error
        if not answer["ok"]:
            raise self._refusal(answer["kind"], answer["error"])
        return answer

    def _refusal(self, kind: str, text: str) -> AsgibenchError:
        if kind == "ENOSPC":
            return DiskFull(
                f"{self.host.name}: no space left ({text})", remedy=f"free room below {self.workdir}"
            )
        return GuardRefusal(self.host.name, kind, text)
