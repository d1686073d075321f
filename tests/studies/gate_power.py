"""How often ``compare --fail-over 5%`` passes, fails and can't tell, by noise, blocks and what is so.

Nine cells with three figures each (27), each run's figure log-normal with this noise, memory with a tenth of
it, as many blocks in A as in B. Prints the tables of docs/verdicts.md in some ten minutes; the same seed
gives the same tables.

    .venv/bin/python -m tests.studies.gate_power
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from bench.results.cell import Cell
from bench.results.gate import Gated, gate_error, gate_of
from bench.results.ratio import METRICS, ratio_of

SEED = 62
SIMULATED = 400
CELLS = 9
LIMIT = 0.05
NOISES = (0.01, 0.02, 0.03, 0.05)
BLOCKS = (5, 10, 20)
CASES = (
    ("nothing is slower", 0.0, CELLS),
    ("all nine cells are 2 % slower", 0.02, CELLS),
    ("one cell is 6 % slower", 0.06, 1),
    ("all nine cells are 6 % slower", 0.06, CELLS),
    ("one cell is 10 % slower", 0.10, 1),
    ("one cell is 20 % slower", 0.20, 1),
)


def exit_code(chance: random.Random, noise: float, blocks: int, slower: float, slow_cells: int) -> int:
    error = gate_error(gate_of(tuple(figures(chance, noise, blocks, slower, slow_cells)), (), LIMIT))
    return 0 if error is None else error.exit_code


def figures(
    chance: random.Random, noise: float, blocks: int, slower: float, slow_cells: int
) -> Iterator[Gated]:
    for number in range(CELLS):
        cell = Cell(f"server-{number}", "shortbody", 1, 50, "lab")
        for metric in (metric for metric in METRICS if metric.is_gated):
            share = noise / 10 if "bytes" in metric.name else noise
            factor = 1.0
            if number < slow_cells and metric.name == "requests_per_second":
                factor = 1 - slower
            a, b = ([math.exp(chance.gauss(0, share)) for _ in range(blocks)] for _ in "ab")
            yield Gated(cell, ratio_of(metric, a, [value * factor for value in b]))


def table(slower: float, slow_cells: int) -> Iterator[str]:
    yield "| noise of a run | " + " | ".join(f"{blocks} blocks" for blocks in BLOCKS) + " |"
    yield "|---" * (1 + len(BLOCKS)) + "|"
    for noise in NOISES:
        shown = []
        for blocks in BLOCKS:
            chance = random.Random(SEED)
            codes = [exit_code(chance, noise, blocks, slower, slow_cells) for _ in range(SIMULATED)]
            shown.append(" / ".join(f"{100 * codes.count(code) / SIMULATED:.0f}" for code in (0, 61, 62)))
        yield f"| {noise * 100:g} % | " + " | ".join(shown) + " |"


if __name__ == "__main__":
    for title, slower, slow_cells in CASES:
        print(f"\n{title[:1].upper()}{title[1:]}:\n")
        print("\n".join(table(slower, slow_cells)))
