"""The hosts: fingerprints, packages, which cores had which job."""

from __future__ import annotations

from reports.page.parts import Facts, Folded, Heading, Part
from reports.page.section import SectionSpec
from reports.results import Results
from reports.tables.hosts import hosts_table, package_tables
from reports.tables.table import facts_of


def _parts(results: Results) -> tuple[Part, ...]:
    environment = results.environment
    parts: list[Part] = [hosts_table(environment)]
    packages = package_tables(environment)
    if packages:
        parts.append(Folded("Versions of all packages", packages))
    for title, values in (("CPU placement", environment.placement), ("Controller", environment.controller)):
        if values:
            parts += [Heading(title), Facts(facts_of(values))]
    return tuple(parts)


SECTION = SectionSpec("hosts", "Hosts", 100, _parts, is_long=True)
