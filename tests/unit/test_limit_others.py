"""Other programs on the server's cores, and cores that a hypervisor takes away, are told and void a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.judge.limit import CpuUse, HostUse, LoadUse, RunFigures, judge
from bench.samples.host import host_cpu, network_use
from bench.samples.read import parse_samples

ROOT = Path(__file__).resolve().parents[2]


def codes(host: HostUse | None) -> dict[str, bool]:
    figures = RunFigures(
        requests=1000, server=CpuUse(0.6, 1.0), load=(LoadUse("a/0", 0.3),), host=host, connections=50
    )
    return {type(reason).__name__: reason.invalidates for reason in judge(figures).reasons}


def test_a_quiet_host_is_not_mentioned() -> None:
    assert codes(HostUse(cores=1, busy=0.62, others=0.02, stolen=0.0)) == {}
    assert codes(None) == {}


def test_others_on_a_full_core_void_the_run() -> None:
    assert codes(HostUse(cores=1, busy=0.99, others=0.39)) == {"OthersOnServerCores": True}


def test_others_on_cores_with_room_are_said_only() -> None:
    assert codes(HostUse(cores=8, busy=3.0, others=2.4)) == {"OthersOnServerCores": False}


def test_stolen_time_is_said_and_much_of_it_voids() -> None:
    assert codes(HostUse(cores=2, busy=1.0, others=0.0, stolen=0.1)) == {"CpuStolen": False}
    assert codes(HostUse(cores=2, busy=1.0, others=0.0, stolen=0.5)) == {"CpuStolen": True}


@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="this system can't pin")
def test_the_agent_sees_what_a_core_does(tmp_path: Path) -> None:
    """A busy loop pinned to one core shows there, whoever started it."""
    core = psutil.Process().cpu_affinity()[0]
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    agent = subprocess.Popen(
        [sys.executable, "-m", "remote.onhost.agent", "--control", "sock", "--directory", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        psutil.Process(busy.pid).cpu_affinity([core])
        assert agent.stdout is not None
        assert "ready" in agent.stdout.readline()
        _tell(
            tmp_path, f'{{"do":"begin","run":"r","targets":{{"x":{busy.pid}}},"full_interval_seconds":0.2}}'
        )
        start = time.time()
        time.sleep(2.0)
        end = time.time()
        _tell(tmp_path, '{"do":"end"}')
        agent.terminate()
        agent.wait(10)
    finally:
        agent.kill()
        busy.kill()
        agent.wait()
        busy.wait()
        assert agent.stdout is not None
        agent.stdout.close()
    samples = parse_samples((tmp_path / "r.jsonl").read_bytes())
    used = host_cpu(samples, [core], (start, end))
    assert used is not None
    assert used.busy > 0.8
    assert host_cpu(samples, [10_000], (start, end)) is None
    network = network_use(samples, (start, end))
    assert network is not None
    assert network.sent_bytes_per_second >= 0


def _tell(folder: Path, line: str) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(folder / "sock"))
        peer.sendall(line.encode() + b"\n")
        assert b'"refused"' not in peer.recv(65536)
