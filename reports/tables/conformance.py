"""Conformance as tables: counts of all servers, and each server's findings that don't conform, folded."""

from __future__ import annotations

from bench.proofs.conformance import JUDGEMENTS, SUITE_TITLES, ConformanceFindings
from bench.proofs.kept import Proofs
from reports.page.parts import Folded
from reports.tables.table import Table, TableRow, numbers, words
from reports.words.numbers import MISSING

SHOWN_CHARACTERS = 200
"""Of one piece of evidence; proofs/conformance.json has all that was kept."""


def counts_table(proofs: Proofs[ConformanceFindings]) -> Table:
    """A row for each server and suite."""
    rows = tuple(
        TableRow(
            (
                server,
                SUITE_TITLES.get(suite, suite),
                *(str(count) for count in one.counts.values()),
                one.problem,
            )
        )
        for server, found in proofs.findings.items()
        for suite, one in found.items()
    )
    return Table(
        "How far the servers keep to the specifications",
        (*words("Server", "Specification"), *numbers(*JUDGEMENTS), *words("Not probed")),
        rows,
        note=(
            "Numbers of probes. conforms: as the specification says. allowed: it leaves the choice. weak: "
            "against a SHOULD. violates: against a MUST. untested: the probe told nothing. The whole "
            "evidence lies in proofs/conformance.json beside this file."
        ),
    )


def finding_parts(proofs: Proofs[ConformanceFindings]) -> tuple[Folded, ...]:
    """For each server what violates, is weak or untested, with its evidence."""
    return tuple(
        Folded(
            f"{server}: what does not conform",
            tuple(
                Table(
                    f"{SUITE_TITLES.get(suite, suite)}: {proofs.subjects[server].title}",
                    words(
                        "Probe", "Judgement", "What it did", "Held against", "The server sent", "The app saw"
                    ),
                    tuple(
                        TableRow(
                            (
                                f"{finding.subject}: {finding.title}",
                                finding.judgement,
                                finding.why,
                                finding.rule,
                                _cut(finding.received),
                                _cut(finding.app_saw),
                            )
                        )
                        for finding in one.of("violates", "weak", "untested")
                    ),
                    style="wide",
                )
                for suite, one in found.items()
            ),
        )
        for server, found in proofs.findings.items()
    )


def _cut(text: str) -> str:
    return (text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…") or MISSING
