"""Conformance of servers to specifications: every probe's finding, by suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from bench.wire.conformance import ConformanceFinding, Judgement

CONFORMANCE = "conformance"
"""The kind's name."""

JUDGEMENTS: tuple[Judgement, ...] = ("conforms", "allowed", "weak", "violates", "untested")
SUITE_TITLES = {"http1": "HTTP/1.1", "asgi": "ASGI"}


class SuiteFindings(msgspec.Struct, frozen=True):
    """What one suite found of one server. ``problem`` says why the rest, or all, was not probed."""

    problem: str
    findings: tuple[ConformanceFinding, ...]

    @property
    def counts(self) -> dict[Judgement, int]:
        """By judgement, in their order; those that none has are 0."""
        found = Counter(one.judgement for one in self.findings)
        return {judgement: found[judgement] for judgement in JUDGEMENTS}

    def of(self, *judgements: Judgement) -> tuple[ConformanceFinding, ...]:
        return tuple(one for one in self.findings if one.judgement in judgements)


ConformanceFindings = dict[str, SuiteFindings]
"""By suite: what is kept of each server."""


def latest(several: Iterable[ConformanceFinding]) -> tuple[ConformanceFinding, ...]:
    """Each probe once: the last finding that tells something, else the last."""
    by_probe: dict[str, ConformanceFinding] = {}
    for one in several:
        known = by_probe.get(one.probe)
        if known is None or one.judgement != "untested" or known.judgement == "untested":
            by_probe[one.probe] = one
    return tuple(by_probe.values())


def judgements_of(findings: Mapping[str, ConformanceFindings]) -> dict[str, dict[str, dict[str, object]]]:
    """For --json: {server: {suite: {problem, counts, findings}}}."""
    return {
        server: {
            suite: {"problem": one.problem, "counts": one.counts, "findings": one.findings}
            for suite, one in found.items()
        }
        for server, found in findings.items()
    }
