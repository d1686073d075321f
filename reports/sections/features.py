"""What the servers' protocols can do, as proven by `./invoke features`: a table, and its evidence below."""

from __future__ import annotations

from bench.proofs.features import FEATURES, Findings
from reports.page.parts import Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.features import evidence_parts, features_table
from reports.tables.proven import provenance, unproven_line


def _parts(results: Results) -> tuple[Part, ...]:
    proofs = results.proofs.of_kind(FEATURES, Findings)
    unproven = unproven_line("What their protocols can do", FEATURES, results.plan, proofs)
    if proofs is None:
        return (Paragraph(unproven),)
    return (
        Paragraph(
            "Each was probed over the wire and held against what the app saw, with a control that must fail. "
            f"{provenance(proofs)}"
        ),
        features_table(proofs),
        *([Paragraph(unproven)] if unproven else ()),
        *evidence_parts(proofs),
    )


SECTION = SectionSpec(
    "features", "What their protocols can do", 92, _parts, navigation="Features", is_long=True
)
