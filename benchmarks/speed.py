"""What of the spread between equal runs the machine's own speed explains: ``python benchmarks/speed.py``.

Makes real runs of uvicorn on shortbody on this machine, one after the other (``--runs 24``: 5 minutes, with
repeats up to twice that), and holds CPU per request and requests/s of each against what could be a yardstick:
the fixed work in both rests, in CPU time and by the clock, on the server's cores and on the load's, and the
load's own CPU per request in the window. Spreads are of logarithms: 0.10 is about 10 %. Tries that were made
again count too. The tables are Markdown. ``--results FOLDER`` reads what was made before.

Where several servers are named, each run is held against its own server's mean.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, stdev

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.results.course import load_cpu_seconds_per_request, yardstick_seconds  # noqa: E402
from bench.results.run import RunResult  # noqa: E402
from bench.results.speed import HostSpeed, SpeedReading  # noqa: E402
from bench.results.store import Store  # noqa: E402

NAME = "study"
PROFILE = """
[profiles.{name}]
description = "many short runs of one cell"
connections = 50
warmup_seconds = 1
window_seconds = 4
blocks = {runs}
idle_rest_seconds = 1.0
after_rest_seconds = 1.0
"""
Measure = Callable[[RunResult], float | None]


@dataclass(frozen=True)
class Explained:
    """What one canary explains of a figure, over the runs that have both."""

    runs: int
    spread: float  # of the canary: the standard deviation of its logarithm
    r_squared: float
    slope: float  # 1.0: the figure changes by the same share
    corrected: float  # spread of the figure over the canary
    fitted: float  # spread of the figure, the canary taken out with the slope


def made_runs(runs: int, servers: str, endpoint: str, folder: Path) -> None:
    catalogue = folder / "study.toml"
    catalogue.write_text(PROFILE.format(name=NAME, runs=runs))
    command = [
        str(ROOT / "invoke"),
        "bench",
        *("--catalogue", str(catalogue), "--profile", NAME),
        *("--servers", servers, "--endpoints", endpoint),
        *("--results", str(folder), "--name", NAME),
    ]
    # A void run is an exit code, and a finding here.
    subprocess.run(command, stdout=sys.stderr, check=False, timeout=60 + runs * len(servers.split(",")) * 60)


def all_tries(store: Store) -> list[RunResult]:
    """Every try in the order made; one that was made again too, so that nothing is chosen."""
    runs = sorted(store.read_runs(), key=lambda run: run.position)
    return [tried for run in runs for tried in (*store.read_attempts(run.run_id), run)]


def explained(runs: Sequence[RunResult], figure: Measure, canary: Measure) -> Explained | None:
    pairs = [
        (run.cell.server, math.log(seen), math.log(value))
        for run in runs
        if (seen := canary(run)) and (value := figure(run))
    ]
    if len(pairs) < 3:
        return None
    x, y = (
        _centred([(server, seen) for server, seen, _ in pairs]),
        _centred([(server, value) for server, _, value in pairs]),
    )
    both, square_x, square_y = (_sum_of_products(*one) for one in ((x, y), (x, x), (y, y)))
    if not square_x or not square_y:
        return None
    slope = both / square_x
    return Explained(
        runs=len(pairs),
        spread=stdev(x),
        r_squared=both**2 / (square_x * square_y),
        slope=slope,
        corrected=stdev([value - seen * (1 if slope > 0 else -1) for seen, value in zip(x, y, strict=True)]),
        fitted=stdev([value - slope * seen for seen, value in zip(x, y, strict=True)]),
    )


def _sum_of_products(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _centred(values: Sequence[tuple[str, float]]) -> list[float]:
    """Each value less the mean of its server's."""
    means = {server: fmean([one for name, one in values if name == server]) for server, _ in values}
    return [value - means[server] for server, value in values]


def cost(run: RunResult) -> float | None:
    return run.cpu_seconds_per_request


def throughput_at_its_limit(run: RunResult) -> float | None:
    """Requests/s where the server's CPU held the run back."""
    return run.requests_per_second if run.limit.name == "server_cpu" else None


def canaries() -> Iterator[tuple[str, Measure]]:
    yield "yardstick, as runs are judged by it", yardstick_seconds
    parts: tuple[tuple[str, Callable[[SpeedReading], float]], ...] = (
        ("computing, CPU", lambda one: one.computing.cpu_median),
        ("kernel, CPU", lambda one: one.kernel.cpu_median),
        ("computing, least CPU", lambda one: one.computing.cpu_min),
        ("kernel, least CPU", lambda one: one.kernel.cpu_min),
        ("computing, by the clock", lambda one: one.computing.wall_median),
        ("kernel, by the clock", lambda one: one.kernel.wall_median),
    )
    for name, part in parts:
        yield name, lambda run, part=part: _of_server(run, part)  # type: ignore[misc]
    yield "yardstick before the load", lambda run: _of_rest(run, lambda host: host.before)
    yield "yardstick after the load", lambda run: _of_rest(run, lambda host: host.after)
    yield "yardstick on the load's core", _of_load
    yield "load's CPU per request, in the window", load_cpu_seconds_per_request


def _of_server(run: RunResult, part: Callable[[SpeedReading], float]) -> float | None:
    if run.machine_speed is None:
        return None
    server = run.machine_speed.server
    found = [part(one) for one in (server.before, server.after) if one is not None]
    return fmean(found) if found else None


def _of_rest(run: RunResult, rest: Callable[[HostSpeed], SpeedReading | None]) -> float | None:
    found = None if run.machine_speed is None else rest(run.machine_speed.server)
    return None if found is None else found.seconds


def _of_load(run: RunResult) -> float | None:
    hosts = {} if run.machine_speed is None else run.machine_speed.load
    found = [seconds for one in hosts.values() if (seconds := one.seconds) is not None]
    return fmean(found) if found else None


def print_spread(runs: Sequence[RunResult]) -> None:
    print("\n| over the runs | least | median | greatest | greatest over least | standard deviation |")
    print("|---|---|---|---|---|---|")
    figures: tuple[tuple[str, Measure, float, str], ...] = (
        ("requests/s, where the server's CPU was the limit", throughput_at_its_limit, 1, ",.0f"),
        ("CPU per request, µs", cost, 1e6, ".1f"),
        ("yardstick, ms", yardstick_seconds, 1e3, ".2f"),
        ("load's CPU per request, µs", load_cpu_seconds_per_request, 1e6, ".1f"),
    )
    for server in dict.fromkeys(run.cell.server for run in runs):
        for title, measure, unit, shown in figures:
            values = [found * unit for run in runs if run.cell.server == server and (found := measure(run))]
            if len(values) < 2:
                print(f"| {server}: {title} | – | – | – | – | {len(values)} runs |")
                continue
            low, high = min(values), max(values)
            print(
                f"| {server}: {title} | {low:{shown}} | {median(values):{shown}} | {high:{shown}} "
                f"| {high / low:.2f} | {stdev([math.log(value) for value in values]):.1%} |"
            )


def print_explained(title: str, runs: Sequence[RunResult], figure: Measure) -> None:
    known = [(server.cell.server, math.log(value)) for server in runs if (value := figure(server))]
    if len(known) < 3:
        print(f"\n{title}: {len(known)} runs have it, too few")
        return
    spread = stdev(_centred(known))
    print(f"\n{title}: {len(known)} runs, standard deviation {spread:.1%}\n")
    print(
        "| canary | runs | its own spread | R² | slope | spread left, divided by it | spread left, fitted |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, canary in canaries():
        found = explained(runs, figure, canary)
        if found is None:
            print(f"| {name} | not known | | | | | |")
            continue
        print(
            f"| {name} | {found.runs} | {found.spread:.1%} | {found.r_squared:.2f} | {found.slope:.2f} "
            f"| {found.corrected:.1%} | {found.fitted:.1%} |"
        )


def print_within(runs: Sequence[RunResult]) -> None:
    """How far CPU per request moved from second to second of one window."""
    seconds = [one.machine_speed.cpu_seconds_per_request for one in runs if one.machine_speed is not None]
    ratios = sorted(max(one) / min(one) for one in seconds if len(one) > 1)
    moved = sorted(
        max(found, 1 / found)
        for run in runs
        if run.machine_speed is not None and (found := run.machine_speed.server.moved)
    )
    for title, values in (
        ("CPU per request within a window, greatest second over least", ratios),
        ("yardstick, one rest over the other", moved),
    ):
        if values:
            print(f"\n{title}: median {median(values):.2f}, greatest {values[-1]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=24, help="of each server")
    parser.add_argument("--servers", default="uvicorn", help="separated by commas; they alternate")
    parser.add_argument("--endpoint", default="shortbody")
    parser.add_argument("--results", type=Path, help="a benchmark's folder that was measured before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.results
        if folder is None:
            made_runs(options.runs, options.servers, options.endpoint, Path(temporary))
            folder = Path(temporary) / NAME
        runs = all_tries(Store.at(folder))
    void = sum(not run.valid for run in runs)
    again = sum(run.attempt > 1 for run in runs)
    print(f"{len(runs)} tries, {void} void, {again} of them second ones")
    print_spread(runs)
    print_explained("CPU per request", runs, cost)
    print_explained("requests/s, where the server's CPU was the limit", runs, throughput_at_its_limit)
    print_within(runs)


if __name__ == "__main__":
    main()
