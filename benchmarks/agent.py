"""What the agent costs: real process trees, real sampling, CPU as the system accounts it.

``python benchmarks/agent.py [--seconds 9]`` starts three trees (a server of 3 processes, a database of 10
that share memory, a load worker of 2), samples them at 10 Hz as a run does, and prints the agent's share of a
core, its lateness and the size of its file; then the same with psutil, as macOS has it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.samples.cost import agent_cost  # noqa: E402
from bench.samples.read import Samples, parse_samples  # noqa: E402
from bench.wire.agent import Answer, Begin, End, Ended, Refusal, Request, decode_answer, encode_request  # noqa: E402
from remote.onhost.agent.portable import PsutilReader  # noqa: E402
from remote.onhost.agent.run import SampledRun  # noqa: E402

TARGETS = {"server": 3, "database": 10, "load": 2}

# A parent with `count - 1` forked children, each touching 60 MiB: 20 of its own, 40 shared by all.
# The first one works all the time, the others wake 100 times a second.
TREE = """
import mmap, os, sys, time
count, seconds = int(sys.argv[1]), float(sys.argv[2])
end = time.monotonic() + seconds
shared = mmap.mmap(-1, 40 << 20)
shared[:] = b"x" * len(shared)
children = []
for _ in range(count - 1):
    pid = os.fork()
    if pid == 0:
        children = None
        break
    children.append(pid)
own = b"x" * (20 << 20)
total = sum(shared[::4096])
print("ready", flush=True)
is_busy = children is not None and count == 3
while time.monotonic() < end:
    if not is_busy:
        time.sleep(0.01)
for child in children or ():
    os.waitpid(child, 0)
"""


@contextlib.contextmanager
def trees(seconds: float) -> Iterator[dict[str, int]]:
    """The three trees, ready; they end by themselves after ``seconds`` at most."""
    running: dict[str, subprocess.Popen[str]] = {}
    try:
        for name, count in TARGETS.items():
            command = [sys.executable, "-c", TREE, str(count), str(seconds)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
            running[name] = process
            assert process.stdout is not None
            for _ in range(count):
                process.stdout.readline()
        yield {name: process.pid for name, process in running.items()}
    finally:
        for process in running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def ask(control: socket.socket, request: Request) -> Answer:
    control.sendall(encode_request(request))
    answer = decode_answer(control.makefile("rb").readline())
    if isinstance(answer, Refusal):
        raise SystemExit(f"refused: {answer}")
    return answer


def measure_process(seconds: float, folder: Path) -> None:
    """The agent as it ships: its own process, CPU seconds as the system tells them."""
    with trees(seconds + 20) as targets:
        process = subprocess.Popen(
            [sys.executable, "-m", "remote.onhost.agent", "--control", "sock", "--directory", "samples"],
            stdout=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None
        process.stdout.readline()
        control = socket.socket(socket.AF_UNIX)
        control.connect(os.path.relpath(folder / "sock"))
        watched = psutil.Process(process.pid)
        before, began = watched.cpu_times(), time.monotonic()
        ask(control, Begin("cost", targets))
        time.sleep(seconds)
        ended = ask(control, End())
        assert isinstance(ended, Ended)
        after, elapsed = watched.cpu_times(), time.monotonic() - began
        memory_bytes = watched.memory_info().rss
        control.close()
        process.terminate()
        process.wait(10)
        process.stdout.close()
    used = after.user + after.system - before.user - before.system
    samples = parse_samples((folder / "samples/cost.jsonl").read_bytes())
    print(f"proc reader, {elapsed:.1f} s, {sum(TARGETS.values())} processes in {len(targets)} trees, 10 Hz")
    print(f"  CPU, as the system accounts it   {used / elapsed:8.2%} of one core")
    report(samples, ended.bytes, seconds)
    print(f"  its own memory                   {memory_bytes / 2**20:8.1f} MiB RSS")


def measure_reader(reader: PsutilReader, seconds: float, folder: Path) -> None:
    """The same sampling in this process, with a reader of our choice."""
    with trees(seconds + 20) as targets:
        run = SampledRun(Begin(reader.name, targets, max_seconds=600.0), reader, folder)
        began, before = time.monotonic(), time.process_time()
        while time.monotonic() < began + seconds:
            time.sleep(max(0.0, run.schedule.deadline - time.monotonic()))
            run.sample()
        used, elapsed = time.process_time() - before, time.monotonic() - began
        ended = run.finish("asked")
    samples = parse_samples((folder / f"{reader.name}.jsonl").read_bytes())
    print(f"{reader.name} reader, in this process")
    print(f"  CPU, as the system accounts it   {used / elapsed:8.2%} of one core")
    report(samples, ended.bytes, seconds)


def report(samples: Samples, size_bytes: int, seconds: float) -> None:
    start = samples.header.wall_seconds
    cost = agent_cost(samples, (start, start + seconds + 1))
    assert samples.footer is not None
    share = "" if cost.core_share is None else f"{cost.core_share:8.2%}"
    fulls = [sum(1 for sample in samples.samples if name in sample.full) for name in TARGETS]
    print(f"  CPU, as the agent tells it       {share} of one core")
    print(f"  late by at most                  {cost.late_max_seconds * 1e3:8.2f} ms")
    print(f"  late by on average               {samples.footer.late_mean_seconds * 1e3:8.2f} ms")
    print(f"  slots missed                     {cost.missed:8d}")
    print(f"  full readings of each target     {fulls}")
    print(f"  file                             {size_bytes / 1e3:8.1f} kB raw")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=9.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        measure_process(seconds, Path(folder))
        measure_reader(PsutilReader(), seconds, Path(folder))


if __name__ == "__main__":
    main()
