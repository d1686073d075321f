"""A connection to this machine itself, behind the same interface as SSH."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Generator, Sequence
from pathlib import Path

from bench.environment.hosts import Host
from bench.errors import ConnectionLost
from inventory.default_signals import default_signals
from remote.runner import Completed, HostCommand, HostConnection, Stream, too_slow

CHUNK_BYTES = 1 << 18
CLOSE_SECONDS = 10
NOT_FOUND_STATUS = 127  # a shell's


class LocalConnection(HostConnection):
    """The controller itself."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def execute(self, command: HostCommand) -> Completed:
        with contextlib.ExitStack() as files:
            stdin = command.stdin
            given = files.enter_context(stdin.open("rb")) if isinstance(stdin, Path) else None
            try:
                done = subprocess.run(
                    command.argv,
                    stdin=given,
                    input=stdin if isinstance(stdin, bytes) else None,
                    capture_output=True,
                    env={**os.environ, **command.env},
                    timeout=command.timeout_seconds,
                    preexec_fn=default_signals(),
                )
            except FileNotFoundError as error:
                return Completed(NOT_FOUND_STATUS, b"", f"{command.argv[0]}: not found ({error})".encode())
            except subprocess.TimeoutExpired as error:
                raise too_slow(self.host, command) from error
        return Completed(done.returncode, done.stdout, done.stderr)

    def stream(self, argv: Sequence[str]) -> Stream:
        return _LocalStream(argv)

    def reverse_tunnel(self, local_port: int) -> int:
        return local_port

    def is_alive(self) -> bool:
        return True

    def close(self) -> None:
        pass


class _LocalStream:
    def __init__(self, argv: Sequence[str]) -> None:
        # A session of its own: Ctrl-C at the terminal is ours to act on, in order.
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            preexec_fn=default_signals(),
        )

    def send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except OSError as error:
            raise ConnectionLost("The local guard has gone", remedy="Run the command again") from error

    def lines(self) -> Generator[bytes, None, None]:
        assert self._process.stdout is not None
        pending = b""
        with self._process.stdout as stdout:
            while chunk := os.read(stdout.fileno(), CHUNK_BYTES):
                *whole, pending = (pending + chunk).split(b"\n")
                yield from whole

    def close(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait(timeout=CLOSE_SECONDS)
