"""Open loop: when requests are due."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

from bench.wire.load import LoadSpec
from loadgen.onhost.engine.poll import SECOND


def due_times(load: LoadSpec, epoch: int, begin: int, index: int, workers: int) -> Iterator[int]:
    """The moments at which this worker's requests are due, from ``begin`` on, in nanoseconds and without end.

    Constant arrivals of all workers interleave on one grid: request j of worker i of W is due at
    epoch + (jW + i) / rate. Poisson arrivals are independent, and the same for the same seed.
    """
    rate = load.rate_per_second or 0.0
    interval = workers * SECOND / rate
    if load.arrivals == "poisson":
        draw = random.Random(f"{load.seed}/{index}/{workers}").expovariate
        due = float(begin)
        while True:
            due += draw(1 / interval)
            yield round(due)
    phase = index * SECOND / rate
    first = math.ceil((begin - epoch - phase) / interval)
    for j in itertools.count(first):
        yield epoch + round(phase + j * interval)
