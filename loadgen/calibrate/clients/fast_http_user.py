"""Locust's FastHttpUser in one process, which measures a window of its own once its users are there."""

from __future__ import annotations

import msgspec

from bench.environment.calibration import ClientFigure, client_figure
from bench.wire.ceiling import LocustFigure
from loadgen.calibrate.ready import (
    CLIENT_PATIENCE_SECONDS,
    CONNECTIONS,
    FOLDER,
    HOME,
    ONHOST,
    WARMUP_SECONDS,
    ReadyHost,
)
from remote.guard_link import GuardRefusal
from testapp.workload import Workload

FIGURE = f"{FOLDER}/fast-http-user.json"


def by_fast_http_user(host: ReadyHost, workload: Workload) -> ClientFigure:
    """Raises LoadError."""
    guarded = host.guarded
    guarded.remove(FIGURE)
    limit_seconds = WARMUP_SECONDS + host.window_seconds + CLIENT_PATIENCE_SECONDS
    done = guarded.run(
        [
            host.environment.python,
            "-m",
            "locust",
            "-f",
            f"{host.shipped_directory}/{ONHOST}/fast_http_user.py",
            *("--headless", "--only-summary", "-L", "ERROR", "--exit-code-on-error", "0"),
            *("-u", str(CONNECTIONS), "-r", str(CONNECTIONS), "-t", f"{limit_seconds:.0f}s"),
            *("-H", host.base_url),
        ],
        env={
            "PYTHONPATH": host.shipped_directory,
            # No configuration file of the user's reaches Locust.
            "HOME": f"{guarded.workdir}/{HOME}",
            "ASGIBENCH_PATH": workload.path,
            "ASGIBENCH_WARMUP_SECONDS": str(WARMUP_SECONDS),
            "ASGIBENCH_WINDOW_SECONDS": str(host.window_seconds),
            "ASGIBENCH_FIGURE": f"{guarded.workdir}/{FIGURE}",
        },
        cwd=f"{guarded.workdir}/{HOME}",
        timeout_seconds=limit_seconds + 10,
        cores=host.cores,
        check=False,
    )
    client = f"FastHttpUser on {workload.name}"
    try:
        figure = msgspec.json.decode(guarded.read(FIGURE), type=LocustFigure)
    except GuardRefusal as refusal:
        output = (done.stdout + done.stderr).decode(errors="replace")
        raise host.client_failed(client, output[-4000:]) from refusal
    guarded.remove(FIGURE)
    if figure.failures or not figure.requests:
        raise host.client_failed(client, f"{figure.failures} of {figure.requests} failed")
    return client_figure(figure.requests, figure.seconds, figure.cpu_seconds)
