"""The lines that several rules share, and why each is drawn where it is.

A line that a single rule draws is a constant in that rule's file.
"""

from __future__ import annotations

import msgspec

# A window is cut into seconds: with clocks known no better than half of one, hosts can't be put side by side.
CLOCK_STOPS_SECONDS = 0.5
# The samples are cut to the window by the clocks: 50 ms at each end of a window of 20 s are 0.5 % of it.
CLOCK_LIMITS_SECONDS = 0.05
# Guards in one network know the clocks to 1 ms. Ten times that is a slow or a busy way, and curves over time
# may be shifted against each other, which no figure depends on: a remark.
CLOCK_REMARK_SECONDS = 0.01


class Thresholds(msgspec.Struct, frozen=True):
    """Shares of 1.0 unless the name gives a unit."""

    # What is unused of cores that are nine tenths full raises the maximum by 11 % at most: the figure is the
    # server's, and below ``server_full`` that margin is said. ``lost_void`` bounds what others took of them.
    server_saturated: float = 0.90
    # The agent samples CPU in 10 ms ticks and the window's ends cut into them: a full core reads 0.97 to 1.0.
    server_full: float = 0.95
    # A client loop at 0.90 of its core in the median second is at 1.0 in the seconds of a burst.
    load_worker_at_limit: float = 0.90
    # With less of the CPU of shared cores, a server twice as fast changes throughput by less than 15 %.
    server_part_of_shared_cores: float = 0.25
    # With every party below it, all of them wait most of the time; between it and "full" nothing is proven.
    mostly_waiting: float = 0.60
    # Other programs that take less change throughput by less than two runs of one cell differ.
    others_reported: float = 0.03
    # Where nobody was at a limit, what others took may be why. Servers that differ by no more are called
    # level.
    others_spoil: float = 0.05
    # A saturated server that lost as much would have answered a tenth more: people decide by less.
    lost_void: float = 0.10
    # At a stated rate a fifth of the cores gone to others is more than queueing hides.
    others_void: float = 0.20
