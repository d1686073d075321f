"""A file opened by the system's own opener."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SECONDS = 10.0
"""An opener that takes longer is a program that shows the file itself."""


def open_file(path: Path) -> str:
    """Open ``path`` as a double click does; why it can't be, or "" where it is."""
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    program = shutil.which(opener)
    if program is None:
        return f"there is no {opener} here"
    if sys.platform != "darwin" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display here"
    started = subprocess.Popen(
        [program, str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        status = started.wait(SECONDS)
    except subprocess.TimeoutExpired:
        return ""
    return "" if status == 0 else f"{opener} ended with status {status}"
