"""How a benchmark ended, for programs: one JSON object."""

from __future__ import annotations

import msgspec

from bench.errors import AsgibenchError
from bench.results.summary import Summary


class ErrorJson(msgspec.Struct, frozen=True):
    message: str
    remedy: str  # "" where nothing can be done


class OutcomeJson(msgspec.Struct, frozen=True):
    exit_code: int
    report: str | None  # its path; None where the benchmark was stopped
    error: ErrorJson | None  # what the exit code comes from; None where it is 0
    summary: Summary | None  # as in summary.json; None where the benchmark was stopped


def outcome_json(
    error: AsgibenchError | None, report: str | None = None, summary: Summary | None = None
) -> str:
    """One line."""
    told = None if error is None else ErrorJson(error.message, error.remedy)
    found = OutcomeJson(0 if error is None else error.exit_code, report, told, summary)
    return msgspec.json.encode(found).decode()
