"""TLS and WebSocket on this machine with real servers: what was agreed on, proven, counted and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.program import run, run_results
from tests.helpers.this_machine import this_machine

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(300)]

PROFILES = """
[profiles.reached]
connections = 20
warmup_seconds = 2
window_seconds = 1
blocks = 1
idle_rest_seconds = 0.3
after_rest_seconds = 0.2
tls = [true]
"""
# A busy machine voids runs, which is what status 60 says; what is asserted here holds for them, too.
MEASURED = (0, 60)
SERVERS = ("uvicorn", "hypercorn", "daphne")
ENDPOINTS = ("shortbody", "websocket-echo")


def test_servers_are_reached_with_tls_over_http_and_websocket(tmp_path: Path) -> None:
    words = ("--servers", ",".join(SERVERS), "--endpoints", ",".join(ENDPOINTS), "--profile", "reached")
    with this_machine(tmp_path, PROFILES) as machine:
        done = run(*machine.bench("reached", *words))
        folder = machine.results / "reached"
    assert done.status in MEASURED, done.stderr
    runs = run_results(folder)
    assert {(one["cell"]["server"], one["cell"]["endpoint"]) for one in runs} == {
        (server, endpoint) for server in SERVERS for endpoint in ENDPOINTS
    }
    for one in runs:
        is_socket = one["cell"]["endpoint"] == "websocket-echo"
        assert one["cell"]["tls"] and one["cell"]["protocol"] == ("websocket" if is_socket else "http/1.1")
        assert one["run_id"].endswith("-tls-b1")
        counts = one["counts"]
        assert counts["engine"] == counts["server"] == counts["locust"] == counts["spool"] > 0
        assert one["failures"] == {}
        assert sum(one["tls"]["connections"].values()) == 20, "each connection shakes hands once"
        assert all(agreed.startswith("TLSv1.") for agreed in one["tls"]["connections"])
        assert one["tls"]["resumed"] == 0
        assert sum(worker["connects"] for worker in one["load_workers"]) == 0, "in the window"
        (proof,) = [found for found in one["proof"] if found["setting"] == "protocol"]
        assert proof["verdict"] == "proven" and "over TLS" in proof["how"] and "https" in proof["how"]
        assert (one["sockets"] is not None) is is_socket
        if is_socket:
            assert one["sockets"]["connections"] == 20 and one["seconds"][0]["requests"] == 0, "they rest"
            assert one["sockets"]["rss_before_bytes"] > 0 and one["sockets"]["rss_open_bytes"] > 0
    page = (folder / "report.html").read_text()
    assert "shortbody with TLS" in page and "MB per 1,000 sockets" in page and "What TLS costs" in page
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"PRIVATE KEY" not in kept and b"BEGIN CERTIFICATE" not in kept
