"""One at a time: a folder's own lock, which a process that dies gives back."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import LabError
from inventory.lab.system import Report

POLL_SECONDS = 0.1


@contextmanager
def locked(directory: Path, report: Report, *, timeout_seconds: float) -> Iterator[int]:
    """Make ``directory`` and hold its lock; gives the lock's file descriptor. Raises LabError when it's late.

    The folder itself is locked and not a file in it, so that the holder may delete it, lock and all.
    """
    deadline = time.monotonic() + timeout_seconds
    waiting = False
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if try_lock(descriptor) and is_same(descriptor, directory):
                yield descriptor
                return
        finally:
            os.close(descriptor)
        if not waiting:
            report(f"waiting for another process that works on {directory}")
            waiting = True
        if time.monotonic() > deadline:
            raise LabError(
                f"another process has worked on {directory} for {timeout_seconds:.0f} s",
                remedy="Wait for the other `./invoke lab.*`, or end it",
            )
        time.sleep(POLL_SECONDS)


def try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_same(descriptor: int, directory: Path) -> bool:
    """False where the folder was deleted, or made anew, while we waited for it."""
    try:
        return os.path.samestat(os.fstat(descriptor), directory.stat())
    except FileNotFoundError:
        return False
