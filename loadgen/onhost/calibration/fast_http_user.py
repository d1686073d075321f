"""Locust's own FastHttpUser, as anybody would use it, measured over a window of its own.

Shipped; needs Locust. Contract: ``locust -f <this file> --headless -u N -r N -H URL``, with the folder of the
shipped files in PYTHONPATH, and in the environment ASGIBENCH_PATH, ASGIBENCH_WARMUP_SECONDS,
ASGIBENCH_WINDOW_SECONDS and ASGIBENCH_FIGURE: a path at which a LocustFigure (bench/wire/ceiling.py) is
written once the window is over. Then the process ends.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, events, task

from bench.wire.ceiling import LocustFigure
from bench.wire.codec import encode_line


class FastUser(FastHttpUser):  # type: ignore[misc]  # Locust has no types
    """Asks again as soon as it is answered."""

    path = os.environ["ASGIBENCH_PATH"]

    @task  # type: ignore[untyped-decorator]
    def get(self) -> None:
        self.client.get(self.path)


def _reading(environment: Any) -> LocustFigure:
    total = environment.stats.total
    return LocustFigure(total.num_requests, total.num_failures, time.monotonic(), time.process_time())


def _measure(environment: Any) -> None:
    gevent.sleep(float(os.environ["ASGIBENCH_WARMUP_SECONDS"]))
    before = _reading(environment)
    gevent.sleep(float(os.environ["ASGIBENCH_WINDOW_SECONDS"]))
    after = _reading(environment)
    figure = LocustFigure(
        after.requests - before.requests,
        after.failures - before.failures,
        after.seconds - before.seconds,
        after.cpu_seconds - before.cpu_seconds,
    )
    Path(os.environ["ASGIBENCH_FIGURE"]).write_bytes(encode_line(figure))
    environment.runner.quit()


@events.init.add_listener  # type: ignore[untyped-decorator]
def _await_users(environment: Any, **_: Any) -> None:
    environment.events.spawning_complete.add_listener(lambda **_: gevent.spawn(_measure, environment))
