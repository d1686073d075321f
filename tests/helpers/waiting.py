"""Waiting for what comes about by itself, with an end to the patience."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.02


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Return once ``condition`` holds; fail the test after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come about within {seconds:g} s"
        time.sleep(POLL_SECONDS)
