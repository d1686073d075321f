"""The features of servers on the terminal: which have each, and what a reader should know of the others."""

from __future__ import annotations

from bench.proofs.features import ORDER, Findings, features_of
from bench.proofs.kept import Proofs
from reports.terminal.screen import wrapped

EVERY = "all"


def table_rows(proofs: Proofs[Findings]) -> list[tuple[str, ...]]:
    """For each feature the servers of each verdict, in the order of ORDER."""
    rows = []
    for feature in features_of(proofs.findings):
        by_verdict = {
            verdict: [
                server
                for server, found in proofs.findings.items()
                if feature in found and found[feature].verdict == verdict
            ]
            for verdict in ORDER
        }
        rows.append((feature, *(_named(servers, len(proofs.findings)) for servers in by_verdict.values())))
    return rows


def remark_lines(proofs: Proofs[Findings], columns: int | None) -> list[str]:
    """Why what is advertised or untested is so."""
    lines: list[str] = []
    for server, found in proofs.findings.items():
        for feature, one in found.items():
            if one.verdict in ("advertised", "untested"):
                lines += wrapped(f"{server}: {feature}: {one.verdict}: {one.reason}", "", "  ", columns)
    return ["", *lines, ""] if lines else [""]


def _named(servers: list[str], of: int) -> str:
    return EVERY if len(servers) == of and of > 1 else ", ".join(servers)
