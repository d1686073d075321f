"""Latency's figures as readers see them: ``≥`` stands before one that may have been more."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.latency import PERCENTILES, Latency, Percentile
from bench.results.summary import CellSummary
from reports.words.numbers import MISSING, milliseconds

AT_LEAST = "≥ "
NOTE = (
    "≥: at least. Requests that never got an answer (timed out, or still waiting when the window ended) "
    "stand there with how long they had waited."
)
STALLS = "ServerStalls"


def latency_ms(latency: Latency | None, name: str) -> str:
    """A figure of Latency by its field's name, in milliseconds: ``4.86``, ``≥ 2,004``, or a dash."""
    if latency is None:
        return MISSING
    shown = milliseconds(getattr(latency, name))
    return f"{AT_LEAST}{shown}" if name in latency.at_least and shown != MISSING else shown


def latency_row(latency: Latency | None, percentiles: Sequence[Percentile] = PERCENTILES) -> tuple[str, ...]:
    """Those percentiles, and the maximum."""
    return (*(latency_ms(latency, one.name) for one in percentiles), latency_ms(latency, "max"))


def latency_notes(cells: Sequence[CellSummary]) -> tuple[str, ...]:
    """What a reader of these latencies must know: what ``≥`` means, and stalls that p99 doesn't show."""
    found = [cell.latency_seconds for cell in cells] + [
        cell.open_loop.service_latency_seconds for cell in cells if cell.open_loop is not None
    ]
    notes = [NOTE] if any(one is not None and one.at_least for one in found) else []
    stalls = [
        f"{cell.cell.title}: {reason.text}."
        for cell in cells
        for reason in cell.reasons
        if reason.code == STALLS
    ]
    return (*notes, *stalls)
