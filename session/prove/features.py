"""`features`: which features of its protocols each server has, by probes over the wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench.proofs.features import FEATURES, Findings, merged_findings
from bench.spec import ServerSpec, Serving
from bench.wire.codec import decode_line
from bench.wire.proving import WRAPPER_VARIABLE, ProbeReport
from session.prove.prove import NotProbed, ProofKind, ProofLaunch, variants_of

EVERY_SERVER = (
    ProofLaunch("plain"),
    ProofLaunch("tls", Serving("tls")),
    ProofLaunch("unix", Serving("unix")),
    ProofLaunch("websocket", Serving("tcp", "websocket")),
    ProofLaunch("h2", Serving("tls", "h2")),
    ProofLaunch("h2c", Serving("tcp", "h2")),
    ProofLaunch("h3", Serving("tls", "h3")),
)


def _launches(spec: ServerSpec) -> Sequence[ProofLaunch]:
    return (*EVERY_SERVER, *_of_its_own(spec))


def _of_its_own(spec: ServerSpec) -> Iterator[ProofLaunch]:
    for name, setup in spec.feature_setups.items():
        yield ProofLaunch(
            name,
            serving=Serving("tls", "h2") if name == "websocket_h2" else Serving(),
            words=setup.flags,
            config_file=setup.config_file,
            environment={WRAPPER_VARIABLE: setup.wrapper} if setup.wrapper else {},
        )


def variants(spec: ServerSpec) -> Iterator[ServerSpec]:
    """The entry as it is started in other environments than its own."""
    return variants_of(spec, _launches(spec))


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
