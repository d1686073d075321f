"""Why a run was measured again, and what its tries before had."""

from __future__ import annotations

from bench.results.attempts import EarlierAttempt
from bench.results.run import RunResult
from reports.words.numbers import rate


def measured_again(run: RunResult) -> str:
    """One sentence without its capital and full stop; "" where the first try counts."""
    return "; ".join(map(_of_one, run.earlier_attempts))


def _of_one(earlier: EarlierAttempt) -> str:
    if earlier.requests_per_second is None:
        return f"tried again, because try {earlier.attempt} failed: {earlier.why}"
    had = f"that try had {rate(earlier.requests_per_second)} requests/s"
    is_void = any(reason.invalidates for reason in earlier.reasons)
    why = "was void" if is_void else "was made at an unusual speed of the machine"
    return f"measured again, because try {earlier.attempt} {why}: {earlier.why}; {had}"
