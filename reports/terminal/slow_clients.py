"""Slow clients on the terminal: a row for each server, and the reason of each verdict below."""

from __future__ import annotations

from bench.proofs.kept import Proofs
from bench.proofs.slow_clients import WEAK_VERDICTS, SlowFindings
from reports.terminal.screen import wrapped
from reports.words.slow_clients import (
    ahead_text,
    closed_text,
    memory_text,
    opened_text,
    ratio_text,
    verdict_of,
)

COLUMNS = (
    "server",
    "idle",
    "kB each",
    "throughput",
    "silent",
    "slowloris",
    "writer stops",
    "reader stops",
    "half-closed",
)


def table_rows(proofs: Proofs[SlowFindings]) -> list[tuple[str, ...]]:
    return [
        (
            server,
            opened_text(found.get("idle")),
            memory_text(found.get("idle")),
            ratio_text(None if "idle" not in found else found["idle"].ratio),
            closed_text(found.get("silent")),
            closed_text(found.get("slowloris")),
            closed_text(found.get("stopped-writer")),
            ahead_text(found.get("endless-answer")),
            verdict_of(found.get("half-closed")),
        )
        for server, found in proofs.findings.items()
    ]


def reason_lines(proofs: Proofs[SlowFindings], columns: int | None) -> list[str]:
    """Of what a reader should know: all that is weak or could not be probed."""
    lines: list[str] = []
    for server, found in proofs.findings.items():
        for probe, one in found.items():
            if one.verdict in WEAK_VERDICTS:
                lines += wrapped(f"{server}: {probe}: {one.verdict}: {one.reason}", "", "  ", columns)
    return ["", *lines, ""] if lines else [""]
