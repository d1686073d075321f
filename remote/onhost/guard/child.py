"""Starts one process of ours, with what it inherits under control."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from remote.onhost.guard.refused import Refused

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True)
class Launch:
    """A process to start; its files are open already."""

    argv: Sequence[str]
    cwd: str | Path
    stdin: int | IO[bytes]
    stdout: int | IO[bytes]
    stderr: int | IO[bytes]
    env: Mapping[str, str] = field(default_factory=dict)
    cores: Sequence[int] | None = None
    user: str | None = None


class Launcher:
    """Starts processes in sessions of their own, which die with the guard where the system can do that."""

    def __init__(self) -> None:
        # Loaded here: between fork and exec nothing may be imported.
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def adopt_orphans(self) -> None:
        """From now on the guard becomes the parent of its processes' orphans (Linux)."""
        if self._libc is not None:
            self._libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def start(self, launch: Launch) -> subprocess.Popen[bytes]:
        """Raises Refused."""
        try:
            return subprocess.Popen(
                launch.argv,
                stdin=launch.stdin,
                stdout=launch.stdout,
                stderr=launch.stderr,
                env={**{key: os.environ[key] for key in PASSED_ON if key in os.environ}, **launch.env},
                cwd=launch.cwd,
                start_new_session=True,
                preexec_fn=self._before_exec(launch.cores),
                **_identity(launch.user),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Refused("not_started", f"{launch.argv[0]}: {error}") from error

    def _before_exec(self, cores: Sequence[int] | None) -> Callable[[], None]:
        libc = self._libc

        def prepare() -> None:
            # A background shell and nohup start programs with these ignored, and children inherit it.
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            if libc is not None:
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if sys.platform == "linux" and cores:
                os.sched_setaffinity(0, cores)

        return prepare


def send_signal(pid: int, number: int) -> None:
    """A process that has ended meanwhile is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _identity(user: str | None) -> dict[str, Any]:
    if user is None or os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
