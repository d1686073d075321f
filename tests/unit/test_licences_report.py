"""Licences in a benchmark's report: the section, claim 7, and what `./invoke licences --json` writes."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.proofs.kept import PROOFS_VERSION, Proofs, keep_with, measured_subjects, take_proofs
from bench.proofs.licences import LICENCES, ServerLicences, licences_found
from bench.results.summarise import summarise
from reports.page.html import page_html
from reports.page.report import report_page
from reports.paper.claims import judge_claims
from reports.results import results_of
from reports.tables.licences import counted_licences, licence_text, obligations_table, plain_of, remarks
from session.finish import render_again
from tests.helpers.distributions import APACHE_NOTICE, BSD_3, MIT, distribution
from tests.helpers.results_example import QUICK, Example, example

DAPHNE = "License: BSD\nClassifier: License :: OSI Approved :: BSD License\nLicense-File: LICENSE\n"
UVLOOP = (
    "License: MIT License\n"
    "Classifier: License :: OSI Approved :: MIT License\n"
    "Classifier: License :: OSI Approved :: Apache Software License\n"
)
FILES = {DAPHNE: {"LICENSE": BSD_3}, UVLOOP: {"LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE_NOTICE}}
MIT_HEAD, BSD_HEAD = "License-Expression: MIT", "License-Expression: BSD-3-Clause"
UNKNOWN = "License: ask us"


def found_of(folder: Path, server: str, **heads: str) -> ServerLicences:
    """``heads``: {package: its metadata}; starlette is the test app's, whatever it is."""
    packages = [
        distribution(folder / server, head, FILES.get(head, {}), name=name)
        for name, head in {**heads, "starlette": "License: strange"}.items()
    ]
    return licences_found(packages, server, ("starlette",), {server: "2026-09-25"}, {})


def usual(folder: Path) -> dict[str, ServerLicences]:
    return {
        "uvicorn": found_of(folder, "uvicorn", uvicorn=BSD_HEAD, uvloop=UVLOOP),
        "daphne": found_of(folder, "daphne", daphne=DAPHNE),
        "hypercorn": found_of(folder, "hypercorn", hypercorn="License: MIT"),
    }


def proofs_of(made: Example, findings: dict[str, ServerLicences]) -> Proofs[ServerLicences]:
    subjects = measured_subjects(made.plan, made.environment)
    return Proofs(
        kind=LICENCES,
        version=PROOFS_VERSION,
        made_at="2026-11-28T04:00:00+00:00",
        command=("./invoke", "licences"),
        environment="lab",
        subjects={name: subjects[name] for name in findings},
        findings=findings,
    )


def claims(made: Example, folder: Path, findings: dict[str, ServerLicences]) -> list[tuple[str, str]]:
    """(verdict, note) of claim 7's two statements, of a benchmark that proved ``findings`` by itself."""
    store = made.save(folder)
    if findings:
        keep_with(store, proofs_of(made, findings))
    results = results_of(store, made.plan, made.runs, summarise(made.plan, made.runs))
    return [(one.verdict, one.note) for one in judge_claims(results) if "icences" in one.text]


def test_the_papers_licences_are_confirmed_by_metadata(tmp_path: Path) -> None:
    """uvloop's two licences leave open which holds; neither restricts use."""
    assert claims(example(QUICK), tmp_path, usual(tmp_path)) == [("confirmed", "")] * 2


def test_another_licence_refutes_and_an_unknown_one_leaves_it_open(tmp_path: Path) -> None:
    other = {"hypercorn": found_of(tmp_path / "a", "hypercorn", hypercorn="License-Expression: BUSL-1.1")}
    assert claims(example(QUICK), tmp_path / "1", usual(tmp_path / "b") | other) == [
        ("refuted", "hypercorn has another"),
        ("refuted", "hypercorn restricts it"),
    ]
    unknown = {"daphne": found_of(tmp_path / "c", "daphne", daphne=UNKNOWN)}
    assert claims(example(QUICK), tmp_path / "2", usual(tmp_path / "d") | unknown) == [
        ("inconclusive", "its metadata don’t tell"),
        ("inconclusive", "we can’t say what daphne asks"),
    ]


def test_a_dependency_counts_for_use_and_the_test_apps_packages_do_not(tmp_path: Path) -> None:
    helper = {"daphne": found_of(tmp_path, "daphne", daphne=DAPHNE, helper="License-Expression: SSPL-1.0")}
    assert claims(example(QUICK), tmp_path, usual(tmp_path / "b") | helper) == [
        ("confirmed", ""),
        ("refuted", "helper restricts it"),
    ]


def test_without_a_proof_the_claim_names_its_command(tmp_path: Path) -> None:
    ((verdict, note), _) = claims(example(QUICK), tmp_path, {})
    assert verdict == "untested"
    assert "`./invoke licences`" in note


def test_the_report_has_the_licences_and_stays_the_same_when_rendered_again(tmp_path: Path) -> None:
    made = example(QUICK)
    store = made.save(tmp_path)
    findings = usual(tmp_path / "sites")
    del findings["hypercorn"]
    keep_with(store, proofs_of(made, findings))
    page = render_again(store).read_text()
    assert 'id="licences"' in page
    assert "daphne 1.0 is BSD-3-Clause by the text of its licence file" in page
    assert "uvloop 1.0 names MIT and Apache-2.0" in page
    assert "Not read: hypercorn." in page
    assert "The holders’ names endorse nothing" in page
    assert render_again(store).read_text() == page


def test_without_any_proof_one_line_says_how(tmp_path: Path) -> None:
    made = example(QUICK)
    store = made.save(tmp_path)
    results = results_of(store, made.plan, made.runs, summarise(made.plan, made.runs))
    page = page_html(report_page(results))
    section = page[page.index('id="licences"') :].partition("</section>")[0]
    assert section.count("<p") == 1 and "./invoke licences" in section


def test_a_later_reading_takes_the_place_of_the_benchmarks_own(tmp_path: Path) -> None:
    made = example(QUICK)
    store = made.save(tmp_path)
    keep_with(store, proofs_of(made, usual(tmp_path / "sites")))
    assert take_proofs(tmp_path, store, made.plan, made.environment) == (LICENCES,)
    results = results_of(store, made.plan, made.runs, summarise(made.plan, made.runs))
    kept = results.proofs.of_kind(LICENCES, ServerLicences)
    assert kept is not None and set(kept.findings) == {"uvicorn", "daphne", "hypercorn"}
    assert kept.findings == usual(tmp_path / "again")


def test_what_cannot_be_told_is_said_in_words(tmp_path: Path) -> None:
    found = found_of(tmp_path, "x", x=UNKNOWN, y=UVLOOP, z=MIT_HEAD, q="License-Expression: LicenseRef-Own")
    texts = {one.name: licence_text(one) for one in found.of_server}
    assert texts["x"] == "unknown"
    assert texts["y"] == "unclear: MIT and Apache-2.0"
    assert counted_licences(found) == "unclear (2), LicenseRef-Own (1), MIT (1)"
    told = remarks({"x": found})
    assert "x 1.0’s licence is not known: its metadata say no more than ask us." in told
    rows = {row.cells[0]: row.cells for row in obligations_table({"x": found}).rows}
    assert rows["LicenseRef-Own"][1:3] == ("not known", "We have no line on it.")
    assert [one.name for one in found.unknown] == ["x", "q"]


def test_the_file_for_programs_has_every_package(tmp_path: Path) -> None:
    found = usual(tmp_path)
    plain = plain_of(found, dict.fromkeys(found, "2026-11-28T04:00:00"))
    text = msgspec.json.encode(plain)
    daphne = msgspec.json.decode(text)["daphne"]
    assert daphne["licence"] == "BSD-3-Clause"
    assert daphne["packages"]["daphne"]["days_since_release"] == 64
    assert daphne["packages"]["starlette"]["relation"] == "app"
    assert set(daphne["obligations"]) == {"BSD-3-Clause"}
