"""Locust's own FastHttpUser, as anybody would use it, measured over a window of its own.

Shipped; standard library and Locust. Contract: ``locust -f <this file> --headless -u N -r N -H URL``, with in
the environment ASGIBENCH_PATH, ASGIBENCH_WARMUP_SECONDS, ASGIBENCH_WINDOW_SECONDS and ASGIBENCH_FIGURE: a
path at which ``{"requests", "failures", "seconds", "cpu_seconds"}`` is written once the window is over. Then
the process ends. ``requests`` includes failures, as Locust counts; the CPU is the process's.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, events, task


class FastUser(FastHttpUser):  # type: ignore[misc]  # Locust has no types
    """Asks again as soon as it is answered."""

    path = os.environ["ASGIBENCH_PATH"]

    @task  # type: ignore[untyped-decorator]
    def get(self) -> None:
        self.client.get(self.path)


def _reading(environment: Any) -> dict[str, float]:
    total = environment.stats.total
    return {
        "requests": total.num_requests,
        "failures": total.num_failures,
        "seconds": time.monotonic(),
        "cpu_seconds": time.process_time(),
    }


def _measure(environment: Any) -> None:
    gevent.sleep(float(os.environ["ASGIBENCH_WARMUP_SECONDS"]))
    before = _reading(environment)
    gevent.sleep(float(os.environ["ASGIBENCH_WINDOW_SECONDS"]))
    after = _reading(environment)
    figure = {key: after[key] - before[key] for key in before}
    Path(os.environ["ASGIBENCH_FIGURE"]).write_text(json.dumps(figure))
    environment.runner.quit()


@events.init.add_listener  # type: ignore[untyped-decorator]
def _await_users(environment: Any, **_: Any) -> None:
    environment.events.spawning_complete.add_listener(lambda **_: gevent.spawn(_measure, environment))
