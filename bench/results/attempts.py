"""The tries at a run that don't count: another was made in their place, and they say why."""

from __future__ import annotations

import msgspec

from bench.judge.judge import cause_of_another_try
from bench.judge.reason import Reason


class EarlierAttempt(msgspec.Struct, frozen=True):
    """A try at a run that was made again. None: it failed before it was measured to its end."""

    attempt: int  # from 1
    started_at: str  # ISO 8601, UTC; "" where it isn't known
    requests_per_second: float | None
    p99_seconds: float | None  # latency; None also where nothing was answered
    cpu_seconds_per_request: float | None  # of the server; None also where it wasn't sampled
    failures: int  # requests
    limit: str  # as Limit.name; "" where it wasn't measured
    reasons: tuple[Reason, ...]  # what voids it first

    @property
    def why(self) -> str:
        """Why another try was made."""
        void = next((reason for reason in self.reasons if reason.invalidates), None)
        cause = void or cause_of_another_try(self.reasons)
        return "" if cause is None else cause.text


def failed_attempt(attempt: int, reason: Reason) -> EarlierAttempt:
    """A try that was not measured to its end."""
    return EarlierAttempt(attempt, "", None, None, None, 0, "", (reason,))
