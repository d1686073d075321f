"""renew, clock, release.

Every request renews the lease: renew is for when there is nothing else to ask.
"""

from __future__ import annotations

import time

from bench.wire.guard import AskClock, ClockTime, Done, ReleaseHost, RenewLease
from remote.onhost.guard.guard import Guard
from remote.onhost.guard.reply import Reply


def renew(guard: Guard, request: RenewLease, reply: Reply) -> None:
    reply(Done())


def clock(guard: Guard, request: AskClock, reply: Reply) -> None:
    reply(ClockTime(time.time(), time.monotonic()))


def release(guard: Guard, request: ReleaseHost, reply: Reply) -> None:
    guard.release(reply)
