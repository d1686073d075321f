"""What the agent takes of a core, and what it costs the server that it samples.

``python -m tests.studies.agent_cost [--blocks 6] [--seconds 6]`` from the repository's folder

A real uvicorn of 1 and of 8 workers answers wrk, which is on another core; in every block it is loaded once
with an agent that samples it as a run does (10 Hz, full readings once a second, beside the load), and once
without, in an order that turns round from block to block. Printed are the agent's share of a core, as the
kernel's scheduler has it, and requests/s with the agent over those without: the mean of the blocks' ratios
with its 95 % interval. Needs Linux, two cores and wrk; no other load should be on the machine.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, stdev

from bench.results.estimate import half_width
from bench.spec import ServerSpec
from bench.wire.agent import Begin
from tests.helpers.endpoints import load_catalogue
from tests.helpers.environments import running_server
from tests.helpers.running_agent import RunningAgent

CONNECTIONS = 50
SETTLE_SECONDS = 0.5
WORKERS = (1, 8)


@dataclass(frozen=True)
class Block:
    """One block's figures of one number of workers."""

    agent_share: float  # of a core
    with_agent: float  # requests/s
    without: float

    @property
    def ratio(self) -> float:
        return self.with_agent / self.without


def wrk(port: int, core: int, seconds: float) -> float:
    """Requests per second of /shortbody from one thread on that core."""
    command = [
        "taskset", "-c", str(core), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s",
        f"http://127.0.0.1:{port}/shortbody",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk printed no rate: {done.stdout}")
    return float(found[1])


def on_core_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def agent_on(core: int, folder: Path) -> Iterator[RunningAgent]:
    """Started once a server, as in a benchmark; between its runs it sleeps."""
    running = RunningAgent(folder)
    os.sched_setaffinity(running.process.pid, {core})
    try:
        yield running
    finally:
        running.close()


def block_of(port: int, server: int, agent: RunningAgent, core: int, seconds: float, *, first: bool) -> Block:
    """With the agent ``first`` or second."""

    def sampled() -> tuple[float, float]:
        agent.ask(Begin("one", {"server": server}))
        before, began = on_core_seconds(agent.process.pid), time.monotonic()
        rate = wrk(port, core, seconds)
        share = (on_core_seconds(agent.process.pid) - before) / (time.monotonic() - began)
        agent.ended()
        return rate, share

    if first:
        rate, share = sampled()
        return Block(share, rate, wrk(port, core, seconds))
    without = wrk(port, core, seconds)
    rate, share = sampled()
    return Block(share, rate, without)


def measured(spec: ServerSpec, workers: int, blocks: int, seconds: float) -> list[Block]:
    server_core, load_core = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory(prefix="asgibench-study-") as place:
        folder = Path(place)
        os.sched_setaffinity(0, {server_core})  # what the server inherits
        try:
            with running_server(spec, folder / "server", "", workers=workers) as server:
                os.sched_setaffinity(0, {server_core, load_core})
                (folder / "agent").mkdir()
                with agent_on(load_core, folder / "agent") as agent:
                    wrk(server.port, load_core, 1)
                    time.sleep(SETTLE_SECONDS)
                    return [
                        block_of(
                            server.port, server.process.pid, agent, load_core, seconds, first=number % 2 == 0
                        )
                        for number in range(blocks)
                    ]
        finally:
            os.sched_setaffinity(0, {server_core, load_core})


def told(workers: int, blocks: list[Block]) -> str:
    shares, ratios = [block.agent_share for block in blocks], [block.ratio for block in blocks]
    half = half_width(stdev(ratios), len(ratios)) if len(ratios) > 1 else float("nan")
    return (
        f"{workers} server worker(s): agent {median(shares):.3%} of a core "
        f"({min(shares):.3%} to {max(shares):.3%}); requests/s with it {fmean(ratios):.4f} of those without "
        f"(95 % interval {fmean(ratios) - half:.4f} to {fmean(ratios) + half:.4f}; {len(blocks)} blocks, "
        f"median {median(block.without for block in blocks):,.0f}/s without)"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="What the agent takes of a core")
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=6.0, help="of load, with and without each")
    parser.add_argument("--workers", type=int, nargs="+", default=list(WORKERS))
    options = parser.parse_args()
    if (
        not sys.platform.startswith("linux")
        or len(os.sched_getaffinity(0)) < 2
        or shutil.which("wrk") is None
    ):
        print("needs Linux, two cores and wrk", file=sys.stderr)
        return 2
    spec = load_catalogue().server("uvicorn")
    for workers in options.workers:
        print(told(workers, measured(spec, workers, options.blocks, options.seconds)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
