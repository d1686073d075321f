"""Findings of conformance: each probe once, counted, and shown with its evidence."""

from __future__ import annotations

import msgspec

from bench.proofs.conformance import (
    CONFORMANCE,
    JUDGEMENTS,
    ConformanceFindings,
    SuiteFindings,
    judgements_of,
    latest,
)
from bench.proofs.kept import PROOFS_VERSION, Proofs
from bench.proofs.subject import Subject
from bench.wire.conformance import ConformanceFinding, Judgement
from reports.tables.conformance import counts_table, finding_parts
from reports.terminal.conformance import table_rows, violation_lines
from session.prove.conformance import _as_asked, suites_of
from tests.helpers.endpoints import load_catalogue

SUBJECT = Subject("uvicorn", "uvicorn 1", "1", {"uvicorn": "1"}, "3.11.2", "Linux", "", "here", "2026-11-28")


def finding(probe: str, judgement: Judgement, why: str = "so it is") -> ConformanceFinding:
    return ConformanceFinding(
        "asgi",
        probe,
        "HTTP scope",
        "a title",
        "ASGI, Scope",
        "MUST",
        judgement,
        why,
        "GET",
        "HTTP/1.1",
        "scope",
    )


def proofs_of(*found: ConformanceFinding, problem: str = "") -> Proofs[ConformanceFindings]:
    findings: ConformanceFindings = {"asgi": SuiteFindings(problem, found)}
    return Proofs(CONFORMANCE, PROOFS_VERSION, "", (), "here", {"uvicorn": SUBJECT}, {"uvicorn": findings})


def test_what_a_later_start_found_takes_the_place_of_what_was_not_probed() -> None:
    first = (finding("a", "violates"), finding("b", "untested"), finding("c", "conforms"))
    later = (finding("b", "weak"), finding("c", "untested"), finding("a", "conforms"))
    assert [(one.probe, one.judgement) for one in latest((*first, *later))] == [
        ("a", "conforms"),
        ("b", "weak"),
        ("c", "conforms"),
    ]
    assert [one.judgement for one in latest((finding("a", "untested"),))] == ["untested"]


def test_every_judgement_is_counted_and_what_does_not_conform_is_shown() -> None:
    proofs = proofs_of(
        *(finding(judgement, judgement) for judgement in JUDGEMENTS), problem="WebSocket: absent"
    )
    assert table_rows(proofs) == [("uvicorn", "ASGI", "1", "1", "1", "1", "1")]
    lines = violation_lines(proofs, None)
    assert "uvicorn: ASGI: WebSocket: absent" in lines
    assert "uvicorn: violates: violates: so it is (ASGI, Scope)" in lines
    assert not [line for line in lines if "weak" in line or "allowed" in line]
    table = counts_table(proofs)
    assert {len(row.cells) for row in table.rows} == {len(table.columns)}
    (folded,) = finding_parts(proofs)
    assert [row.cells[1] for row in folded.tables[0].rows] == ["weak", "violates", "untested"]
    assert judgements_of(proofs.findings)["uvicorn"]["asgi"]["counts"] == dict.fromkeys(JUDGEMENTS, 1)


def test_findings_are_kept_whole() -> None:
    kept = proofs_of(finding("a", "weak")).findings["uvicorn"]
    assert msgspec.json.decode(msgspec.json.encode(kept), type=ConformanceFindings) == kept


def test_a_server_that_is_told_to_insist_on_a_lifespan_may_end_without_one() -> None:
    catalogue = load_catalogue()
    insisting, free = catalogue.server("uvicorn"), catalogue.server("hypercorn")
    ended = finding("lifespan-raises-at-once", "violates", "it ends")
    told = _as_asked(insisting, ended)
    assert told.judgement == "allowed" and told.why.startswith("it ends, as its settings ask")
    assert _as_asked(free, ended) == ended
    other = finding("lifespan-served", "violates")
    assert _as_asked(insisting, other) == other


def test_every_suite_has_its_starts() -> None:
    suites = suites_of(load_catalogue().server("uvicorn"))
    assert set(suites) == {"http1", "asgi"}
    names = [one.name for one in suites["asgi"]]
    assert names[:2] == ["asgi", "asgi-websocket"] and len(names) == 9
    assert "websockets-sansio" in " ".join(suites["asgi"][1].spec.command)
    daphne = [one.name for one in suites_of(load_catalogue().server("daphne"))["asgi"]]
    assert "asgi-lifespan:" in daphne
