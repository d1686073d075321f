"""How far the servers keep to the specifications, as probed by `./invoke conformance`."""

from __future__ import annotations

from bench.proofs.conformance import CONFORMANCE, ConformanceFindings
from reports.page.parts import Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.conformance import counts_table, finding_parts
from reports.tables.proven import provenance, unproven_line


def _parts(results: Results) -> tuple[Part, ...]:
    proofs = results.proofs.of_kind(CONFORMANCE, ConformanceFindings)
    unproven = unproven_line("Conformance", CONFORMANCE, results.plan, proofs)
    if proofs is None:
        return (Paragraph(unproven),)
    return (
        Paragraph(
            "Each probe says by bytes on the wire and by what the app saw whether the server keeps to a "
            "section of its specification, with an ordinary request beside it as a control. "
            f"{provenance(proofs)}"
        ),
        counts_table(proofs),
        *([Paragraph(unproven)] if unproven else ()),
        *finding_parts(proofs),
    )


SECTION = SectionSpec("conformance", "Conformance", 94, _parts, is_long=True)
