"""What commands print about themselves while they work, and paths for a reader."""

from __future__ import annotations

import sys
from pathlib import Path


def say(text: str) -> None:
    """Progress, on stderr: stdout is for what was asked for."""
    print(text, file=sys.stderr, flush=True)


def shown(path: Path) -> str:
    """From where the user is, if it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
