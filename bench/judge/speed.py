"""Reasons that lie in the machine's speed over several runs: of a cell, and of a benchmark.

A single run is judged by bench/judge/rules/speed.py. Codes never change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.judge.reason import Reason
from bench.results.course import CellSpeed, machine_moved, yardstick_seconds
from bench.results.run import RunResult

# Ten runs of one cell within five minutes differed by 31 to 46 µs where the machine's speed moved; on a quiet
# machine they stay within 5 to 10 %.
CPU_PER_REQUEST_DIFFERS = 0.15
# As far as servers are told apart by: below it nothing is called a difference anyway.
MOVED_BETWEEN_SINGLE_RUNS = 0.05
# Over repeats, the intervals hold what a block's runs have in common.
MOVED_OVER_REPEATS = 0.15
MACHINE_SPEED_CODE = "machine_speed"


def cell_speed_reasons(speed: CellSpeed | None) -> Iterator[Reason]:
    """That runs of one cell don't agree in what a request costs, which is the server's own constant."""
    if speed is None or speed.cpu_per_request_spread is None:
        return
    if speed.cpu_per_request_spread <= CPU_PER_REQUEST_DIFFERS:
        return
    text = (
        f"CPU per request differs by {speed.cpu_per_request_spread:.0%} over its runs, "
        f"{speed.cpu_per_request_min * 1e6:,.0f} to {speed.cpu_per_request_max * 1e6:,.0f} µs"
    )
    if speed.yardstick_spread is not None:
        text += f"; fixed work on the same cores by {speed.yardstick_spread:.0%}"
    if speed.load_spread is not None:
        text += f"; the load's own CPU per request by {speed.load_spread:.0%}"
    yield Reason(
        "cpu_per_request_differs",
        text,
        "See the machine's own speed in the report: where all of these move together, it is the machine",
    )


def machine_speed_reasons(runs: Sequence[RunResult], blocks: int) -> Iterator[Reason]:
    """How far the machine's own speed moved over a benchmark, where that bounds what may be said."""
    moved = machine_moved(runs)
    if moved is None or moved < (MOVED_BETWEEN_SINGLE_RUNS if blocks == 1 else MOVED_OVER_REPEATS):
        return
    found = [seconds for run in runs if (seconds := yardstick_seconds(run)) is not None]
    took = f"fixed work on the server's cores took {min(found) * 1e3:.1f} to {max(found) * 1e3:.1f} ms"
    if blocks == 1:
        yield Reason(
            MACHINE_SPEED_CODE,
            f"the machine's own speed moved by {moved:.0%} between these runs ({took}): with one run each, a "
            "smaller difference between two servers may be the machine's",
            "Repeat every cell with --profile review, on hosts that nobody else uses",
        )
        return
    yield Reason(
        MACHINE_SPEED_CODE,
        f"the machine's own speed moved by {moved:.0%} over the benchmark ({took})",
        "See the machine's own speed in the report; repeat on hosts that nobody else uses",
    )
