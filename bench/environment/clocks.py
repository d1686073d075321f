"""A host's clocks against the controller's.

Whatever is measured goes by monotonic clocks: the controller's own, and each host's by its offset to it.
Nobody can set them. The time of day, which anybody can set, serves readers alone.
"""

from __future__ import annotations

import msgspec


class ClockReading(msgspec.Struct, frozen=True):
    """Both clocks of a host at one moment, in seconds, by the quickest of a few round trips."""

    at: float  # on the controller's monotonic clock
    monotonic_offset: float  # the host's monotonic clock minus the controller's
    wall_offset: float  # the host's time of day minus the controller's
    error: float  # both offsets are known to plus or minus this
    # The host's time of day minus its own monotonic clock: it changes when somebody sets the time of day.
    wall_lead: float
