"""Claim 5 of the paper, judged by proofs of features."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.proofs.features import FEATURES, FeatureFinding, Findings
from bench.proofs.kept import PROOFS_VERSION, KeptProofs, Proofs
from bench.proofs.subject import Subject
from bench.results.summarise import summarise
from bench.wire.proving import Verdict
from reports.paper.claim import Claim
from reports.paper.claims.protocols import CLAIM, FEATURE_OF
from reports.paper.figures import VERSIONS
from reports.results import Results
from tests.helpers.results_example import QUICK, example

SPEAKS = {
    "uvicorn": ("HTTP/1.1", "WebSocket"),
    "daphne": ("HTTP/1.1", "WebSocket", "HTTP/2"),
    "hypercorn": ("HTTP/1.1", "WebSocket", "HTTP/2", "HTTP/3"),
}


def subject(server: str, version: str) -> Subject:
    package = server.partition("-")[0]
    return Subject(
        server, f"{package} {version}", version, {}, "3.11.2", "Linux", "", "here", "2026-11-28T04:00:00",
        package, package,
    )  # fmt: skip


def findings(works: tuple[str, ...], otherwise: Verdict = "absent") -> Findings:
    return {
        feature: FeatureFinding("works" if name in works else otherwise, "so", ())
        for name, feature in FEATURE_OF.items()
    }


def judged(folder: Path, proven: list[tuple[Subject, Findings]] | None) -> dict[str, Claim]:
    """The claims by server."""
    if proven is not None:
        proofs = Proofs(
            FEATURES, PROOFS_VERSION, "2026-11-28", (), "lab",
            {one.server: one for one, _ in proven}, {one.server: found for one, found in proven},
        )  # fmt: skip
        (folder / "proofs").mkdir()
        (folder / "proofs" / "features.json").write_bytes(msgspec.json.encode(proofs))
    made = example(QUICK)
    results = Results(
        made.plan, made.environment, summarise(made.plan, made.runs), made.runs, None, KeptProofs(folder)
    )
    return dict(zip(VERSIONS, CLAIM.judge(results), strict=True))


def test_without_a_proof_it_is_untested_and_says_which_command_proves_it(tmp_path: Path) -> None:
    for claim in judged(tmp_path, None).values():
        assert claim.verdict == "untested" and "run ./invoke features --servers uvicorn-paper" in claim.note


def test_what_the_paper_says_is_confirmed_where_each_speaks_that_and_no_more(tmp_path: Path) -> None:
    proven = [(subject(f"{one}-paper", VERSIONS[one]), findings(speaks)) for one, speaks in SPEAKS.items()]
    claims = judged(tmp_path, proven)
    assert {one.verdict for one in claims.values()} == {"confirmed"}
    assert claims["hypercorn"].here == "HTTP/1.1, WebSocket, HTTP/2 and HTTP/3"
    assert "was not probed" not in claims["hypercorn"].note


def test_the_papers_version_counts_before_todays(tmp_path: Path) -> None:
    claims = judged(
        tmp_path,
        [
            (subject("daphne", "4.2.3"), findings(("HTTP/1.1",))),
            (subject("daphne-paper", VERSIONS["daphne"]), findings(SPEAKS["daphne"])),
            (subject("uvicorn", "0.54.0"), findings((*SPEAKS["uvicorn"], "HTTP/2"))),
        ],
    )
    assert claims["daphne"].verdict == "confirmed"
    assert claims["uvicorn"].verdict == "refuted"
    assert "HTTP/2 too" in claims["uvicorn"].note
    assert f"the paper’s {VERSIONS['uvicorn']} was not probed" in claims["uvicorn"].note
    assert claims["hypercorn"].verdict == "untested"


@pytest.mark.parametrize(("otherwise", "verdict"), [("absent", "refuted"), ("untested", "untested")])
def test_what_lacks_refutes_and_what_could_not_be_tested_does_not(
    tmp_path: Path, otherwise: Verdict, verdict: str
) -> None:
    proven = [(subject("hypercorn", "0.18.0"), findings(("HTTP/1.1", "WebSocket"), otherwise))]
    claim = judged(tmp_path, proven)["hypercorn"]
    assert claim.verdict == verdict
    assert "HTTP/2 and HTTP/3" in claim.note
