"""A rate that can't be met, found while the load is on: offering it for longer would show nothing more.

The sign is a pace below the rate from the start on, with a backlog that grows from second to second.
None of these is one: a start-up (its pace still rises), a stall (nothing is answered for a while, and caught
up later), a burst of Poisson arrivals (beyond what chance has), noise in mid-run (the rate was met before).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from bench.spec import Arrivals
from loadgen.live import LiveSecond

SHOWN_SECONDS = 3
"""So many show it; they are what is measured."""
# Second 0 has the connections' start in it.
FIRST_SECOND = 1
# Runs of one cell differ by some percent: a rate that is missed by less than this is offered to the end.
MISSED_SHARE = 0.05
LEAST_MISSED = 10.0
"""Requests in these seconds: of fewer, chance can't be left out."""
# Poisson arrivals vary by the root of their number: four of it are exceeded once in 30,000.
POISSON_DEVIATIONS = 4.0
PACE_RISE = 1.1
"""The last second over the best before it: beyond it the pace still rises, and may yet reach the rate."""


def lasting_overload(
    seconds: Sequence[LiveSecond], rate_per_second: float, arrivals: Arrivals = "constant"
) -> range | None:
    """The last seconds, if they and all before them show that the rate can't be met; else None.

    ``seconds`` are those of the load so far, in order.
    """
    known = [one for one in seconds if one.second >= FIRST_SECOND]
    last = known[-SHOWN_SECONDS:]
    if len(last) < SHOWN_SECONDS or last[-1].second - last[0].second != SHOWN_SECONDS - 1:
        return None
    due = rate_per_second * SHOWN_SECONDS
    chance = POISSON_DEVIATIONS * math.sqrt(due) if arrivals == "poisson" else 0.0
    missed = due - sum(one.answered for one in last)
    was_met = any(one.answered >= (1 - MISSED_SHARE) * rate_per_second for one in known)
    if was_met or missed <= max(MISSED_SHARE * due, LEAST_MISSED, chance):
        return None
    grows = all(later.waiting > earlier.waiting for earlier, later in pairwise(last))
    if not grows or _is_stalled(last) or _rises(known):
        return None
    return range(last[0].second, last[-1].second + 1)


def _is_stalled(seconds: Sequence[LiveSecond]) -> bool:
    return any(one.answered == 0 for one in seconds)


def _rises(seconds: Sequence[LiveSecond]) -> bool:
    return seconds[-1].answered > PACE_RISE * max(one.answered for one in seconds[:-1])
