"""How large a share may be that was found by a sample."""

from __future__ import annotations

import math
from statistics import NormalDist

from bench.results.estimate import CONFIDENCE


def upper_share(found: int, looked_at: int) -> float:
    """The share that 95 % of samples of this size would show more of than ``found`` among ``looked_at``.

    Exact where none was found (Clopper and Pearson), else Wilson's score. 1.0 where nothing was looked at.
    """
    if looked_at == 0 or found >= looked_at:
        return 1.0
    if found == 0:
        return 1.0 - math.exp(math.log(1.0 - CONFIDENCE) / looked_at)
    deviations = NormalDist().inv_cdf(CONFIDENCE)
    share, width = found / looked_at, deviations**2 / looked_at
    half = deviations * math.sqrt(share * (1 - share) / looked_at + width / (4 * looked_at))
    return min(1.0, (share + width / 2 + half) / (1 + width))
