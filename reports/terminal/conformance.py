"""Conformance on the terminal: counts by server and suite, and every violation below."""

from __future__ import annotations

from bench.proofs.conformance import SUITE_TITLES, ConformanceFindings
from bench.proofs.kept import Proofs
from reports.terminal.screen import wrapped


def table_rows(proofs: Proofs[ConformanceFindings]) -> list[tuple[str, ...]]:
    return [
        (server, SUITE_TITLES.get(suite, suite), *(str(count) for count in one.counts.values()))
        for server, found in proofs.findings.items()
        for suite, one in found.items()
    ]


def violation_lines(proofs: Proofs[ConformanceFindings], columns: int | None) -> list[str]:
    """What violates or is untested, and why a suite was not whole."""
    lines: list[str] = []
    for server, found in proofs.findings.items():
        for suite, one in found.items():
            if one.problem:
                lines += wrapped(
                    f"{server}: {SUITE_TITLES.get(suite, suite)}: {one.problem}", "", "  ", columns
                )
            for finding in one.of("violates", "untested"):
                text = f"{server}: {finding.probe}: {finding.judgement}: {finding.why} ({finding.rule})"
                lines += wrapped(text, "", "  ", columns)
    return ["", *lines, ""] if lines else [""]
