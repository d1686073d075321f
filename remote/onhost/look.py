"""What a system says in its files and through its commands, as text. Standard library only."""

from __future__ import annotations

import subprocess
from pathlib import Path

COMMAND_SECONDS = 5


def output(*argv: str) -> str:
    """What a command prints; "" where there is no such command, or it fails, or it takes too long."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def content(path: Path) -> str:
    """A file's text; "" where there is none or it can't be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
