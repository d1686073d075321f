"""Features of servers as tables: the verdicts of all, and the evidence of each server, folded."""

from __future__ import annotations

from bench.proofs.features import FeatureFinding, Findings, features_of
from bench.proofs.kept import Proofs
from bench.wire.proving import Exhibit
from reports.page.parts import Folded
from reports.tables.table import Table, TableRow, words
from reports.words.numbers import MISSING

SHOWN_CHARACTERS = 300
"""Of one piece of evidence; proofs/features.json has all that was kept."""
SHOWN_PIECES = 6


def features_table(proofs: Proofs[Findings]) -> Table:
    """A row for each feature, a column for each server."""
    rows = tuple(
        TableRow((title, *(_verdict(found.get(feature)) for found in proofs.findings.values())))
        for feature, title in features_of(proofs.findings).items()
    )
    return Table(
        "What the servers’ protocols can do",
        words("Feature", *proofs.findings),
        rows,
        note=(
            "works: on the wire and in the app’s scope. absent: shown not to. advertised: the app finds it "
            "in its scope, and on the wire it does not work. untested: the probe told nothing; the reason is "
            "below. "
            "The whole evidence lies in proofs/features.json beside this file."
        ),
    )


def evidence_parts(proofs: Proofs[Findings]) -> tuple[Folded, ...]:
    """For each server its verdicts with their reasons, and the bytes that they rest on."""
    return tuple(
        Folded(
            f"{server}: reasons and evidence",
            (
                Table(
                    f"{proofs.subjects[server].title}, {proofs.subjects[server].when_and_where}",
                    words("Feature", "Verdict", "Why", "Held against", "Evidence"),
                    tuple(
                        TableRow((one.title, one.verdict, one.reason, one.reference, _shown(one.evidence)))
                        for one in found.values()
                    ),
                    style="wide",
                ),
            ),
        )
        for server, found in proofs.findings.items()
    )


def _verdict(finding: FeatureFinding | None) -> str:
    return MISSING if finding is None else finding.verdict


def _shown(evidence: tuple[Exhibit, ...]) -> str:
    return " · ".join(f"{one.label}: {_cut(one.text)}" for one in evidence[:SHOWN_PIECES]) or MISSING


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
