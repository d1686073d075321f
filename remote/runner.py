"""Runs commands on a host: what a connection and the guard over it have in common."""

from __future__ import annotations

import abc
import shlex
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from bench.environment.hosts import Host
from bench.errors import CommandFailed, DiskFull

SHOWN_CHARACTERS = 160


class HostCommand(msgspec.Struct, frozen=True):
    """What is to be run on a host."""

    argv: tuple[str, ...]
    stdin: bytes | Path = b""  # a file's content if it is a path
    env: Mapping[str, str] = {}  # beside what the host has
    timeout_seconds: float = 60
    # Under the guard alone:
    cwd: str | None = None  # below the work folder, or absolute; None: the work folder
    cores: tuple[int, ...] | None = None  # the CPU numbers to pin it to; None: all

    @property
    def shown(self) -> str:
        """For messages: not longer than a line."""
        words = shlex.join(self.argv)
        return f"`{words[:SHOWN_CHARACTERS]}{'…' if len(words) > SHOWN_CHARACTERS else ''}`"


class Completed(msgspec.Struct, frozen=True):
    """How a command ended."""

    exit_status: int  # below 0: the signal that ended it
    stdout: bytes
    stderr: bytes


class Runner(abc.ABC):
    """Runs commands on ``host``: a connection, or the guard over it."""

    host: Host

    @abc.abstractmethod
    def execute(self, command: HostCommand) -> Completed:
        """Run to the end, whatever its status. Raises ConnectionLost; CommandFailed if it takes too long."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Path = b"",
        env: Mapping[str, str] = {},
        timeout_seconds: float = 60,
        check: bool = True,
    ) -> Completed:
        """Run to the end. With ``check``, a status other than 0 raises CommandFailed (DiskFull if it was)."""
        command = HostCommand(tuple(argv), stdin, env, timeout_seconds)
        completed = self.execute(command)
        return check_completed(self.host, command, completed) if check else completed


class Stream(Protocol):
    """A running command's stdin and stdout, line by line."""

    def send(self, data: bytes) -> None:
        """Write all of ``data``; raises ConnectionLost."""

    def lines(self) -> Generator[bytes, None, None]:
        """Every line of stdout, without its end, until the command or the connection ends."""

    def close(self) -> None: ...


class HostConnection(Runner):
    """All that can be done on a host without its guard."""

    @abc.abstractmethod
    def stream(self, argv: Sequence[str]) -> Stream:
        """Start a command and talk with it."""

    @abc.abstractmethod
    def reverse_tunnel(self, local_port: int) -> int:
        """Make the controller's loopback port reachable on the host's loopback; the port there."""

    @abc.abstractmethod
    def is_alive(self) -> bool: ...

    @abc.abstractmethod
    def close(self) -> None: ...


def check_completed(host: Host, command: HostCommand, completed: Completed) -> Completed:
    """The same ``completed`` if its status is 0; else raises what it amounts to."""
    if completed.exit_status == 0:
        return completed
    text = (completed.stderr or completed.stdout).decode(errors="replace").strip()
    last_line = text.splitlines()[-1] if text else "no output"
    if "No space left on device" in text:
        raise DiskFull(
            f"{host.name}: no space left on device ({last_line})",
            remedy=f"Free room, or name another folder in asgibench_workdir for {host.name}",
            detail=text,
        )
    raise CommandFailed(
        f"{host.name}: {command.shown} ended with status {completed.exit_status}: {last_line[:300]}",
        remedy="The output is shown with --debug",
        detail=text[-4000:],
    )


def too_slow(host: Host, command: HostCommand) -> CommandFailed:
    return CommandFailed(
        f"{host.name}: {command.shown} took longer than {command.timeout_seconds:g} s",
        remedy="See what keeps the host busy",
    )
