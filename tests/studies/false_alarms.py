"""How often noise is called a difference: one server under two names, beside two real ones.

``python -m tests.studies.false_alarms [--benchmarks 20] [--blocks 3] [--seconds 2] [--quiet]`` runs so many
short benchmarks of uvicorn, the same uvicorn once more, hypercorn and daphne with ``./invoke bench`` on this
machine. Meanwhile a noise maker takes a random core in bursts, a sixth of the time on average; with
``--quiet`` there is none. For each pair it prints how often it was called ahead, in which direction, level,
not resolved or not ranked. It ends with status 1 if the two names of the same server were called different
in more than one benchmark of twenty.

With ``--again`` it measures nothing and judges the benchmarks that lie in ``--results FOLDER``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from bench.results.store import Store, result_names
from reports.results import Results, results_of

ROOT = Path(__file__).resolve().parents[2]

SERVERS = ("twin-a", "twin-b", "hypercorn", "daphne")
TWINS = frozenset(SERVERS[:2])
CATALOGUE = """
[servers.twin-a]
like = "uvicorn"
title = "uvicorn {{version}}, one name"

[servers.twin-b]
like = "uvicorn"
title = "uvicorn {{version}}, another name"

[profiles.short]
description = "as short as a benchmark can be"
connections = 50
warmup_seconds = 1
window_seconds = {seconds}
blocks = {blocks}
idle_rest_seconds = 0.2
after_rest_seconds = 0.2
"""
BURST_SECONDS = (0.1, 1.0)
PAUSE_SECONDS = (0.5, 5.0)
LONGEST_BENCHMARK_SECONDS = 600
ALLOWED_SHARE = 1 / 20


def make_noise(seed: int, parent: int) -> None:
    """Bursts of a busy loop, each on a core of its own choice, until the parent has gone."""
    dice = random.Random(seed)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    while os.getppid() == parent:
        if cores:
            os.sched_setaffinity(0, {dice.choice(cores)})
        end = time.monotonic() + dice.uniform(*BURST_SECONDS)
        while time.monotonic() < end:
            sum(range(10_000))
        time.sleep(dice.uniform(*PAUSE_SECONDS))


def measure(folder: Path, number: int, catalogue: Path) -> None:
    words = [str(ROOT / "invoke"), "bench", "--catalogue", str(catalogue), "--profile", "short"]
    words += ["--servers", ",".join(SERVERS), "--endpoints", "shortbody", "--quiet"]
    words += ["--name", f"benchmark-{number:02}", "--seed", str(number), "--results", str(folder)]
    subprocess.run(words, check=False, timeout=LONGEST_BENCHMARK_SECONDS, stdout=subprocess.DEVNULL)


def read(folder: Path, name: str) -> Results:
    store = Store.open(folder, name)
    return results_of(store, store.read_plan(), store.read_runs(), store.read_summary())


def claims(results: Results) -> list[tuple[str, str, str]]:
    """(server, other, verdict) of each pair that is judged, the better one first."""
    return [
        (pair.better.server, pair.other.server, pair.verdict.value)
        for _, contest in results.contests
        for pair in contest.pairs
    ]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--benchmarks", type=int, default=20)
    options.add_argument("--blocks", type=int, default=3)
    options.add_argument("--seconds", type=int, default=2, help="of each window")
    options.add_argument("--quiet", action="store_true", help="without the noise maker")
    options.add_argument("--again", action="store_true", help="judge what lies in the folder")
    options.add_argument("--results", type=Path, default=ROOT / "results" / "false-alarms")
    given = options.parse_args()
    folder: Path = given.results
    if not given.again:
        folder.mkdir(parents=True, exist_ok=True)
        catalogue = folder / "twins.toml"
        catalogue.write_text(CATALOGUE.format(seconds=given.seconds, blocks=given.blocks))
        noise = multiprocessing.Process(target=make_noise, args=(1, os.getpid()), daemon=True)
        if not given.quiet:
            noise.start()
        try:
            for number in range(1, given.benchmarks + 1):
                began = time.monotonic()
                measure(folder, number, catalogue)
                print(f"benchmark {number}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        finally:
            if noise.is_alive():
                noise.kill()
    return told(folder)


def told(folder: Path) -> int:
    """Print what the benchmarks in ``folder`` claimed; the exit status."""
    verdicts: Counter[tuple[str, str, str]] = Counter()
    false, judged = 0, 0
    ratios: list[float] = []
    runs, void = 0, 0
    for name in result_names(folder):
        results = read(folder, name)
        found = claims(results)
        judged += 1
        false += any({one, other} == TWINS and verdict == "ahead" for one, other, verdict in found)
        verdicts.update(found)
        runs += len(results.runs)
        void += sum(not run.valid for run in results.runs)
        by_server = {
            server: [
                run.requests_per_second for run in results.runs if run.cell.server == server and run.valid
            ]
            for server in TWINS
        }
        if all(by_server.values()):
            ratios.append(statistics.median(by_server["twin-a"]) / statistics.median(by_server["twin-b"]))
    print(f"{judged} benchmarks, {runs} runs, {void} of them void")
    for (one, other, verdict), times in sorted(verdicts.items()):
        print(f"  {one:10} against {other:10} {verdict:14} {times}")
    if ratios:
        print(f"twins' ratio by medians: {min(ratios):.2f} to {max(ratios):.2f}")
    print(f"the two names of one server were called different in {false} of {judged} benchmarks")
    return 1 if false > ALLOWED_SHARE * judged else 0


if __name__ == "__main__":
    sys.exit(main())
