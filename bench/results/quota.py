"""CPU quotas of control groups, as results keep them."""

from __future__ import annotations

from typing import Literal

import msgspec

Party = Literal["server", "database", "load"]


class QuotaUse(msgspec.Struct, frozen=True):
    """One control group with a CPU quota, in the window."""

    host: str
    group: str  # its folder on the host
    parties: tuple[Party, ...]  # who is in it, or in a group below it
    cores: float  # what all of its processes may use together
    periods: int  # in which it had something to run
    throttled_periods: int  # of these, the ones in which the quota was used up before the end
    throttled_seconds: float  # how long its processes were stopped for that, summed over the cores

    @property
    def throttled_share(self) -> float:
        """Of its periods; 1.0: it was stopped in every one."""
        return self.throttled_periods / self.periods if self.periods else 0.0
