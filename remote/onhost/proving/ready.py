"""Waits until a server under proof has answered a request. A bare connect proves nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.wire.proving import ProbeOrder
from remote.onhost.proving.connection import NotAnswered, open_connection
from remote.onhost.proving.http1 import read_answers, request

RETRY_SECONDS = 0.01
ONE_ANSWER_SECONDS = 2.0
LAST_CHARACTERS = 200


def why_not_ready(order: ProbeOrder) -> str:
    """ "" once it has answered with 200 over the order's transport; else what was wrong last."""
    deadline = time.monotonic() + order.ready_seconds
    problem = "nothing has answered yet"
    while time.monotonic() < deadline:
        if not _is_running(order.pid):
            return f"it has ended ({problem}){_last_words(order)}"
        try:
            with open_connection(order) as wire:
                wire.send(request(order, None, ("Connection", "close")))
                (answer,) = read_answers(wire, seconds=ONE_ANSWER_SECONDS)
            if answer.status == 200 and answer.body == b"ok":
                return ""
            problem = f"it answers with status {answer.status}"
        except (OSError, NotAnswered) as error:
            problem = str(error)
        time.sleep(RETRY_SECONDS)
    return f"{problem}{_last_words(order)}"


def _last_words(order: ProbeOrder) -> str:
    """The last line that the server printed; "" where there is none."""
    try:
        lines = Path(order.log).read_text(errors="replace").split("\n") if order.log else []
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return f"; it printed: {said[-1][:LAST_CHARACTERS]}" if said else ""


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
