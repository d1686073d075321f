"""Proofs on disk: they replace their old ones, go along with a benchmark, and stand in its report."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.errors import ResultError
from bench.proofs.features import FEATURES, FeatureFinding, Findings, merged_findings, verdicts_of
from bench.proofs.kept import (
    PROOFS_VERSION,
    KeptProofs,
    Proofs,
    add_proofs,
    measured_subjects,
    read_proofs,
    take_proofs,
)
from bench.proofs.subject import Subject
from bench.results.summarise import summarise
from bench.wire.codec import decode_line, encode_line
from bench.wire.proving import (
    Exhibit,
    KnownFeature,
    ProbeFinding,
    ProbeReport,
    Script,
    Step,
    Verdict,
    token_of,
)
from reports.page.html import page_html
from reports.page.report import report_page
from reports.results import results_of
from testapp.proving.app import sendable
from testapp.proving.witness import plain_value
from tests.helpers.results_example import QUICK, Example, example

KNOWN = KnownFeature("keep-alive", "HTTP/1.1 keep-alive", "RFC 9112, 9.3", ("plain", "tls"))


def finding(verdict: Verdict, reason: str = "so it is", launch: str = "plain") -> ProbeFinding:
    seen = (Exhibit.of("the client sent", b"GET / HTTP/1.1\r\n\r\n\xff"),)
    return ProbeFinding(KNOWN.name, KNOWN.title, KNOWN.reference, launch, verdict, reason, seen)


def findings_of(*found: ProbeFinding) -> Findings:
    return merged_findings({one.launch: ProbeReport("", (one,), (KNOWN,)) for one in found}, {})


def proofs_of(
    subjects: dict[str, Subject], verdict: Verdict, at: str = "2026-11-28T04:00:00"
) -> Proofs[Findings]:
    return Proofs(
        kind=FEATURES,
        version=PROOFS_VERSION,
        made_at=at,
        command=("./invoke", "features"),
        environment="lab",
        subjects=subjects,
        findings={name: findings_of(finding(verdict)) for name in subjects},
    )


def test_evidence_is_bytes_that_can_be_read_and_had_back() -> None:
    content = b"GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n\0"
    one = Exhibit.of("sent", content)
    assert one.text.isascii() and "\n" not in one.text and one.left_out_bytes == 0
    assert one.text.encode().decode("unicode_escape").encode("latin-1") == content
    assert Exhibit.of("sent", content, shown_bytes=4) == Exhibit("sent", "GET ", len(content) - 4)


def test_a_script_is_named_in_a_query() -> None:
    script = Script("abc", (Step("drain"), Step("send", {"type": "x", "body": "\xff"})))
    assert token_of(script.query) == "abc"
    assert decode_line(Script, encode_line(script)) == script
    assert token_of("") is None and token_of("script=../x") is None
    assert sendable(script.steps[1].message) == {"type": "x", "body": b"\xff"}


def test_what_an_app_notes_is_bounded() -> None:
    noted = plain_value({"body": b"x" * 100_000, "short": b"\xff", "state": {"a": object()}})
    assert isinstance(noted, dict)
    assert noted["short"] == "\xff" and noted["state"] == {"a": "<object>"}
    assert str(noted["body"]).startswith("100000 bytes, sha256 ") and len(str(noted["body"])) < 200


def test_the_best_verdict_counts_and_the_others_are_told() -> None:
    (one,) = findings_of(finding("absent", "not here", "tls"), finding("works", "yes")).values()
    assert one.verdict == "works"
    assert one.reason == "yes (HTTP/1.1); HTTP/1.1 over TLS: absent, not here"
    assert one.launches == {"plain": "works", "tls": "absent"}
    (alike,) = findings_of(finding("works", "yes", "tls"), finding("works", "yes")).values()
    assert alike.reason == "yes"


def test_a_feature_that_could_not_be_probed_says_why() -> None:
    found = merged_findings({"tls": ProbeReport("", (), (KNOWN,))}, {"plain": "it did not become ready"})
    assert found["keep-alive"].verdict == "untested"
    assert found["keep-alive"].reason == "it did not become ready"


def test_a_new_proof_of_a_server_replaces_its_old_one_and_no_other(tmp_path: Path) -> None:
    made = example(QUICK)
    subjects = measured_subjects(made.plan, made.environment)
    first, second = list(subjects)[:2]
    add_proofs(tmp_path, proofs_of(subjects, "works"), Findings)
    path = add_proofs(tmp_path, proofs_of({second: subjects[second]}, "absent"), Findings)
    kept = read_proofs(path, Findings)
    assert path == tmp_path / "proofs" / "features-lab.json" and kept is not None
    assert kept.findings[first]["keep-alive"].verdict == "works"
    assert kept.findings[second]["keep-alive"].verdict == "absent"
    assert set(kept.subjects) == set(subjects)


@pytest.mark.parametrize("field", ["packages", "python", "system"])
def test_only_proofs_of_the_same_thing_go_along(tmp_path: Path, field: str) -> None:
    made = example(QUICK)
    store = made.save(tmp_path)
    subjects = measured_subjects(made.plan, made.environment)
    assert set(subjects) == {spec.name for spec in made.plan.servers}
    first, *others = subjects
    other = {"packages": {"h11": "0"}, "python": "3.99.0", "system": "Plan 9"}[field]
    subjects[first] = msgspec.structs.replace(subjects[first], **{field: other})
    add_proofs(tmp_path, proofs_of(subjects, "works"), Findings)
    assert take_proofs(tmp_path, store, made.plan, made.environment) == ("features",)
    taken = KeptProofs(store.directory).of_kind(FEATURES, Findings)
    assert taken is not None and list(taken.findings) == others


def test_other_versions_of_a_measured_server_go_along_and_are_not_taken_for_it(tmp_path: Path) -> None:
    made = example(QUICK)
    store = made.save(tmp_path)
    (first, subject), *_ = measured_subjects(made.plan, made.environment).items()
    old = msgspec.structs.replace(subject, server=f"{first}-paper", packages={"h11": "0"})
    add_proofs(tmp_path, proofs_of({old.server: old}, "works"), Findings)
    take_proofs(tmp_path, store, made.plan, made.environment)
    taken = KeptProofs(store.directory).of_kind(FEATURES, Findings)
    assert taken is not None and list(taken.findings) == [f"{first}-paper"]


def test_a_later_proof_takes_the_place_of_one_that_went_along(tmp_path: Path) -> None:
    made = example(QUICK)
    store = made.save(tmp_path)
    subjects = measured_subjects(made.plan, made.environment)
    for verdict, at in (("absent", "2026-11-28T04:00:00"), ("works", "2026-11-29T04:00:00")):
        add_proofs(tmp_path, proofs_of(subjects, verdict, at), Findings)  # type: ignore[arg-type]
        take_proofs(tmp_path, store, made.plan, made.environment)
    taken = KeptProofs(store.directory).of_kind(FEATURES, Findings)
    assert taken is not None
    assert {one["keep-alive"].verdict for one in taken.findings.values()} == {"works"}


def test_damaged_and_newer_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "features.json"
    path.write_text("{")
    with pytest.raises(ResultError, match="damaged"):
        read_proofs(path, Findings)
    newer = msgspec.structs.replace(proofs_of({}, "works"), version=PROOFS_VERSION + 1)
    path.write_bytes(msgspec.json.encode(newer))
    with pytest.raises(ResultError, match="of version 2"):
        read_proofs(path, Findings)


def test_what_json_has_is_verdict_and_evidence() -> None:
    shown = verdicts_of({"uvicorn": findings_of(finding("works"))})
    one = shown["uvicorn"]["keep-alive"]
    assert isinstance(one, dict)
    assert one["verdict"] == "works"
    assert one["evidence"] == [{"label": "the client sent", "bytes": "GET / HTTP/1.1\\r\\n\\r\\n\\xff"}]


def report_of(made: Example, root: Path) -> str:
    store = made.save(root / "results")
    take_proofs(root / "results", store, made.plan, made.environment)
    html = page_html(report_page(results_of(store, made.plan, made.runs, summarise(made.plan, made.runs))))
    return html.partition('<section id="features"')[2].partition("</section>")[0]


def test_the_report_has_one_line_where_nothing_is_proven(tmp_path: Path) -> None:
    section = report_of(example(QUICK), tmp_path)
    assert section.count("<p") == 1
    assert "isn’t proven yet: run ./invoke features --servers" in section


def test_the_report_has_the_verdicts_their_reasons_and_the_bytes(tmp_path: Path) -> None:
    made = example(QUICK)
    subjects = measured_subjects(made.plan, made.environment)
    left_out = subjects.popitem()[0]
    add_proofs(tmp_path / "results", proofs_of(subjects, "advertised"), Findings)
    section = report_of(made, tmp_path)
    assert "advertised" in section and "so it is" in section and r"GET / HTTP/1.1\r\n\r\n\xff" in section
    assert f"isn’t proven yet of {left_out}: run ./invoke features --servers {left_out}" in section


def test_findings_keep_what_old_files_have() -> None:
    """A new field needs a default, or earlier proofs are damaged."""
    required = [one.name for one in msgspec.structs.fields(FeatureFinding) if one.required]
    assert required == ["verdict", "reason", "evidence"]
    needed = {one.name for one in msgspec.structs.fields(Subject) if one.required}
    assert needed == {
        "server", "title", "version", "packages", "python", "system", "spec_sha256", "host", "measured_at",
    }  # fmt: skip
