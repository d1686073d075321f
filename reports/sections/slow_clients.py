"""What slow, stopped and idle clients cost the servers, as measured by `./invoke slow-clients`."""

from __future__ import annotations

from bench.proofs.slow_clients import SLOW_CLIENTS, SlowFindings
from reports.page.parts import Paragraph, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.proven import provenance, unproven_line
from reports.tables.slow_clients import cost_table, ends_table, reason_parts

WHAT = "What slow and dead clients cost"


def _parts(results: Results) -> tuple[Part, ...]:
    proofs = results.proofs.of_kind(SLOW_CLIENTS, SlowFindings)
    unproven = unproven_line(WHAT, "slow-clients", results.plan, proofs)
    if proofs is None:
        return (Paragraph(unproven),)
    return (
        Paragraph(
            "Clients that send or read slowly, stop, vanish or do nothing, each kind on a server that was "
            f"started for it, over loopback on the server’s host. {provenance(proofs)}"
        ),
        cost_table(proofs),
        ends_table(proofs),
        *([Paragraph(unproven)] if unproven else ()),
        *reason_parts(proofs),
    )


SECTION = SectionSpec("slow-clients", WHAT, 96, _parts, navigation="Slow clients", is_long=True)
