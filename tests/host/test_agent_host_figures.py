"""The agent sees what a whole host does, beside the processes that it was told of."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.samples.host import host_cpu, network_use
from bench.samples.read import Samples, parse_samples

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 2.0
CORE = min(os.sched_getaffinity(0)) if sys.platform == "linux" else 0


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A busy loop on ``CORE``."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        if sys.platform == "linux":
            os.sched_setaffinity(process.pid, {CORE})
        try:
            yield process
        finally:
            process.kill()


def measured(folder: Path, pid: int) -> tuple[Samples, tuple[float, float], float]:
    """(samples of ``SECONDS``, that interval, loopback bytes that were sent meanwhile)."""
    agent = subprocess.Popen(
        [sys.executable, "-m", "remote.onhost.agent", "--control", "sock", "--directory", "."],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with agent:
        try:
            assert agent.stdout is not None
            assert "ready" in agent.stdout.readline()
            ask(folder, f'{{"do":"begin","run":"r","targets":{{"x":{pid}}},"full_interval_seconds":0.2}}')
            start = time.time()
            sent = send_over_loopback(SECONDS)
            end = time.time()
            ask(folder, '{"do":"end"}')
            agent.terminate()
            agent.wait(10)
        finally:
            agent.kill()
    return parse_samples((folder / "r.jsonl").read_bytes()), (start, end), sent


def ask(folder: Path, line: str) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(folder / "sock"))
        peer.sendall(line.encode() + b"\n")
        assert b'"refused"' not in peer.recv(65536)


def send_over_loopback(seconds: float) -> float:
    """About 50 MB/s, so that the busy core is busy with its own loop."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
    with here, there:
        reader = threading.Thread(target=lambda: all(iter(lambda: there.recv(1 << 20), b"")))
        reader.start()
        end, sent = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            here.sendall(bytes(1_000_000))
            sent += 1_000_000
            time.sleep(0.02)
        here.shutdown(socket.SHUT_WR)
        reader.join(10)
    return sent


@pytest.mark.skipif(sys.platform != "linux", reason="this system can't pin")
def test_a_busy_core_shows_whoever_made_it_busy_and_loopback_is_no_traffic(
    tmp_path: Path, busy: subprocess.Popen[bytes]
) -> None:
    samples, interval, sent = measured(tmp_path, busy.pid)
    used = host_cpu(samples, [CORE], interval)
    assert used is not None
    assert used.busy > 0.8
    assert host_cpu(samples, [10_000], interval) is None
    network = network_use(samples, interval)
    assert network is not None
    assert sent > 20e6
    assert network.sent_bytes_per_second < sent / (interval[1] - interval[0]) / 2
