"""A program at a terminal of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.helpers.program import ROOT

TIME_LIMIT_SECONDS = 60
LINES = 50


def at_terminal(
    argv: Sequence[str],
    answers: Mapping[str, str] = {},
    env: Mapping[str, str] = {},
    *,
    columns: int = 200,
    cwd: Path = ROOT,
) -> tuple[int, str]:
    """Run ``argv`` to its end; its status and all that the terminal showed, its own codes too.

    Each of ``answers`` is typed as it stands when its question, the key, has appeared; each once.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
        os.chdir(cwd)
        os.execvpe(argv[0], list(argv), {**inherited, "TERM": "xterm", **env})
    shown, left = "", dict(answers)
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
        while time.monotonic() < deadline:
            ready, _, _ = select.select([terminal], [], [], 1)
            chunk = os.read(terminal, 65536) if ready else b""
            if ready and not chunk:
                break
            shown += chunk.decode(errors="replace")
            for question in [one for one in left if one in shown]:
                os.write(terminal, left.pop(question).encode())
    if time.monotonic() >= deadline:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert not left, (left, shown)
    return os.waitstatus_to_exitcode(status), shown


def plain(shown: str) -> str:
    """What a terminal showed, without its codes."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07|\r", "", shown)
