"""CPU of a process tree, second by second."""

from __future__ import annotations

from collections.abc import Iterable

from bench.samples.tree import Tree, cpu_of


def cpu_by_second(tree: Tree, epoch: float, seconds: Iterable[int]) -> dict[int, float]:
    """CPU seconds in each of ``seconds``, which count from ``epoch``; those not sampled are left out.

    ``epoch`` is on the clock of the samples' times.
    """
    found = {second: cpu_of(tree, (epoch + second, epoch + second + 1)) for second in seconds}
    return {second: cpu.cpu_seconds for second, cpu in found.items() if cpu and cpu.elapsed_seconds > 0.95}
