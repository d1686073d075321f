"""Claim 7: the servers' licences, and that none of them restricts use."""

from __future__ import annotations

from collections.abc import Mapping

from bench.proofs.licences import LICENCES, PackageFinding, ServerLicences
from reports.paper.claim import (
    CONFIRMED,
    INCONCLUSIVE,
    REFUTED,
    Claim,
    PaperClaim,
    servers_compared,
    untested,
)
from reports.paper.figures import SERVERS
from reports.results import Results
from reports.words.numbers import counted, listed

CLAIMED = {"uvicorn": "BSD-3-Clause", "daphne": "BSD-3-Clause", "hypercorn": "MIT"}
LICENCES_TEXT = "Licences: uvicorn and daphne BSD-3-Clause, hypercorn MIT"
USE_TEXT = "Licences: no server’s restricts use, nor does that of any package it installs"
STATED = "stated"


def _judge(results: Results) -> tuple[Claim, ...]:
    compared = servers_compared(results.plan, results.summary)
    proofs = results.proofs.of_kind(LICENCES, ServerLicences)
    findings = {} if proofs is None else proofs.findings
    found = {package: findings[name] for package, name in compared.items() if name in findings}
    missing = [package for package in SERVERS if package not in found]
    if missing:
        why = f"needs {listed(missing)} in this benchmark with `./invoke licences` for its hosts"
        return untested(LICENCES_TEXT, STATED, why), untested(USE_TEXT, STATED, why)
    return _licences(found), _use(found)


def _licences(found: Mapping[str, ServerLicences]) -> Claim:
    """Refuted by one that is otherwise; a licence that can't be told leaves it open."""
    own = {package: one.server for package, one in found.items()}
    here = ", ".join(f"{package} {_named(own[package])}" for package in CLAIMED)
    told = {package: one.licence.spdx for package, one in own.items() if one is not None and one.licence.spdx}
    unlike = [package for package, spdx in told.items() if spdx != CLAIMED[package]]
    if unlike:
        return Claim(LICENCES_TEXT, STATED, here, REFUTED, f"{listed(unlike)} has another")
    if len(told) < len(CLAIMED):
        return Claim(LICENCES_TEXT, STATED, here, INCONCLUSIVE, "its metadata don’t tell")
    return Claim(LICENCES_TEXT, STATED, here, CONFIRMED)


def _use(found: Mapping[str, ServerLicences]) -> Claim:
    """Refuted by one package that restricts use; one that can't be judged leaves it open."""
    packages = {(one.name, one.version) for each in found.values() for one in each.of_server}
    here = f"{counted(len(packages), 'package')} read"
    restricted = sorted({one.name for each in found.values() for one in each.restricted})
    if restricted:
        return Claim(USE_TEXT, STATED, here, REFUTED, f"{listed(restricted)} restricts it")
    unknown = sorted({one.name for each in found.values() for one in each.unknown})
    if unknown:
        return Claim(USE_TEXT, STATED, here, INCONCLUSIVE, f"we can’t say what {listed(unknown)} asks")
    return Claim(USE_TEXT, STATED, here, CONFIRMED)


def _named(package: PackageFinding | None) -> str:
    return "not installed" if package is None else package.licence.spdx or "unclear"


CLAIM = PaperClaim(7, _judge)
