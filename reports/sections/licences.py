"""Licences and health of what each server makes its user install."""

from __future__ import annotations

from bench.proofs.kept import unproven_servers
from bench.proofs.licences import LICENCES, ServerLicences
from reports.page.parts import Folded, Paragraph, Part, points
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.licences import health_table, obligations_table, package_count, packages_table, remarks
from reports.words.numbers import listed


def _parts(results: Results) -> tuple[Part, ...]:
    proofs = results.proofs.of_kind(LICENCES, ServerLicences)
    unproven = unproven_servers(results.plan, proofs)
    missing = (
        (Paragraph(f"Not read: {listed(unproven)}. `./invoke licences` for these hosts reads them."),)
        if unproven
        else ()
    )
    if proofs is None:
        return missing
    names = dict.fromkeys([*(spec.name for spec in results.plan.servers), *sorted(proofs.findings)])
    findings = proofs.of(names).findings
    where = dict.fromkeys(one.when_and_where for one in proofs.subjects.values())
    read_at = {name: one.measured_at for name, one in proofs.subjects.items()}
    said = remarks(findings)
    return (
        Paragraph(
            f"Read from the metadata of {package_count(list(findings.values()))} as they are installed "
            f"{listed(list(where))}: License-Expression, License, classifiers, and the licence files where "
            "their text is a licence’s word for word. What can’t be told is said so."
        ),
        *missing,
        health_table(findings, read_at),
        *((points(said),) if said else ()),
        obligations_table(findings),
        Folded("Every package", tuple(packages_table(name, one) for name, one in findings.items())),
    )


SECTION = SectionSpec("licences", "Licences and what is installed", 95, _parts, navigation="Licences")
