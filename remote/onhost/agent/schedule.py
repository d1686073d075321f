"""When to sample."""

from __future__ import annotations


class Schedule:
    """Slots at absolute times, ``start + n * interval``. A missed one is counted, never made up for."""

    def __init__(self, start: float, interval_seconds: float) -> None:
        self.start = start
        self.interval_seconds = interval_seconds
        self.slot = 0
        self.missed = 0
        self.taken = 0
        self.late_max = 0.0
        self.late_sum = 0.0

    @property
    def deadline(self) -> float:
        return self.start + self.slot * self.interval_seconds

    def take(self, now: float) -> float:
        """The slot due at ``now``; returns its lateness in seconds and moves on to the next."""
        due = max(self.slot, int((now - self.start) / self.interval_seconds + 1e-9))
        self.missed += due - self.slot
        late = max(0.0, now - (self.start + due * self.interval_seconds))
        self.slot = due + 1
        self.taken += 1
        self.late_max = max(self.late_max, late)
        self.late_sum += late
        return late
