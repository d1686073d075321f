"""Which cores a load balancer and the server's processes behind it may use.

The balancer counts as part of the server: it gets no core beyond the server's own. Where these are more than
the server has workers, the last of them is the balancer's; else all share all.
"""

from __future__ import annotations

import msgspec

from bench.plan.placement import Cores


class BalancedCores(msgspec.Struct, frozen=True):
    """None: any core, where the host's system can't pin."""

    server: Cores
    balancer: Cores
    is_apart: bool  # the balancer's core is none of the server's

    @property
    def title(self) -> str:
        """For readers."""
        if self.balancer is None:
            return "on any core, not pinned"
        if self.is_apart:
            return f"on core {self.balancer[0]}, which the server's processes don't use"
        return f"on the server's own {len(self.balancer)} core(s), with its processes"


def balanced_cores(cores: Cores, workers: int) -> BalancedCores:
    """Of a server with so many workers behind a balancer; ``cores`` are those that it has without."""
    if cores is None:
        return BalancedCores(None, None, is_apart=False)
    if len(cores) <= workers:
        return BalancedCores(cores, cores, is_apart=False)
    return BalancedCores(cores[:-1], cores[-1:], is_apart=True)
