"""`features`: which features of its protocols each server has, by probes over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.proofs.features import FEATURES, Findings, merged_findings
from bench.spec import ServerSpec
from bench.wire.codec import decode_line
from bench.wire.proving import ProbeReport
from session.prove.prove import NotProbed, ProofKind, ProofLaunch

ALL_LAUNCHES = (ProofLaunch("plain"),)


def _launches(spec: ServerSpec) -> Sequence[ProofLaunch]:
    return ALL_LAUNCHES


def _findings(spec: ServerSpec, answers: Mapping[str, ProbeReport | NotProbed]) -> Findings:
    reports: dict[str, ProbeReport] = {}
    refused: dict[str, str] = {}
    for launch, answer in answers.items():
        if isinstance(answer, NotProbed):
            refused[launch] = answer.reason
        else:
            reports[launch] = answer
            if answer.problem:
                refused[launch] = f"the server did not become ready: {answer.problem}"
    return merged_findings(reports, refused)


FEATURES_KIND: ProofKind[ProbeReport, Findings] = ProofKind(
    name=FEATURES,
    app="testapp.proving.app:app",
    program="remote.onhost.features",
    answer_of=lambda printed: decode_line(ProbeReport, printed),
    finding=Findings,
    launches=_launches,
    findings=_findings,
)
