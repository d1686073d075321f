"""Features of servers' protocols: what was found of each, over all the ways that a server was started in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from bench.wire.proving import Exhibit, KnownFeature, ProbeFinding, ProbeReport, Verdict

FEATURES = "features"
"""The kind's name."""

ORDER: tuple[Verdict, ...] = ("works", "advertised", "absent", "untested")
"""Of several findings of one feature, the first verdict here counts."""


class FeatureFinding(msgspec.Struct, frozen=True):
    """One feature of one server."""

    verdict: Verdict
    reason: str  # for readers
    evidence: tuple[Exhibit, ...]  # bytes of the wire and what the app saw, of the finding that counts
    title: str = ""
    reference: str = ""  # the specification that it was held against
    launches: dict[str, Verdict] = {}  # {how the server was started: verdict}


Findings = dict[str, FeatureFinding]
"""By feature: what is kept of each server."""


LAUNCH_TITLES = {
    "plain": "HTTP/1.1",
    "tls": "HTTP/1.1 over TLS",
    "unix": "a Unix socket",
    "websocket": "set up for WebSocket",
    "h2": "set up for HTTP/2 over TLS",
    "h2c": "set up for HTTP/2 without TLS",
    "h3": "set up for HTTP/3",
    "proxy": "set up behind a proxy",
    "websocket_h2": "set up for WebSocket and HTTP/2",
}


def merged_findings(reports: Mapping[str, ProbeReport], refused: Mapping[str, str]) -> Findings:
    """Of each feature the best finding over all launches, the others beside it in its reason.

    ``refused`` says for each launch that failed, or that the server can't be started in, why: that is the
    reason of a feature that could not be probed.
    """
    known = {one.name: one for report in reports.values() for one in report.known}
    found: dict[str, list[ProbeFinding]] = {name: [] for name in known}
    for report in reports.values():
        for one in report.findings:
            # Launches that are one start have one report.
            if one not in found[one.feature]:
                found[one.feature].append(one)
    return {
        name: _merged(several) if several else _unprobed(known[name], refused)
        for name, several in found.items()
    }


def _unprobed(feature: KnownFeature, refused: Mapping[str, str]) -> FeatureFinding:
    reasons = dict.fromkeys(refused[one] for one in feature.launches if one in refused)
    reason = "; ".join(reasons) or "the server was not started in a way to probe it"
    return FeatureFinding("untested", reason, (), feature.title, feature.reference)


def _merged(several: Sequence[ProbeFinding]) -> FeatureFinding:
    ranked = sorted(several, key=lambda one: ORDER.index(one.verdict))
    best = ranked[0]
    same = [one for one in ranked if (one.verdict, one.reason) == (best.verdict, best.reason)]
    others = [one for one in ranked if one not in same]
    reason = f"{best.reason} ({', '.join(_title(one) for one in same)})" if others else best.reason
    reason += "".join(f"; {_title(one)}: {one.verdict}, {one.reason}" for one in others)
    return FeatureFinding(
        best.verdict,
        reason,
        best.evidence,
        best.title,
        best.reference,
        {one.launch: one.verdict for one in several},
    )


def _title(finding: ProbeFinding) -> str:
    return LAUNCH_TITLES.get(finding.launch, finding.launch)


def verdicts_of(findings: Mapping[str, Findings]) -> dict[str, dict[str, object]]:
    """``{server: {feature: {verdict, reason, evidence}}}``, each piece of evidence a text with its label."""
    return {
        server: {
            feature: {
                "verdict": one.verdict,
                "reason": one.reason,
                "reference": one.reference,
                "evidence": [{"label": piece.label, "bytes": piece.text} for piece in one.evidence],
            }
            for feature, one in found.items()
        }
        for server, found in findings.items()
    }


def features_of(findings: Mapping[str, Findings]) -> dict[str, str]:
    """``{feature: title}`` of all that some server was probed for, in the probes' order."""
    return {name: one.title for found in findings.values() for name, one in found.items()}


def unprobed(findings: Mapping[str, Findings]) -> dict[str, str]:
    """{server: why} of those of which nothing could be probed: they were never ready."""
    return {
        server: next((one.reason for one in found.values()), "no probe was run")
        for server, found in findings.items()
        if all(one.verdict == "untested" for one in found.values())
    }
