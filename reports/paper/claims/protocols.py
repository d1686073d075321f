"""Claim 5: which protocols the servers speak, by the proofs of `./invoke features`."""

from __future__ import annotations

from bench.proofs.features import FEATURES, Findings
from bench.proofs.kept import Proofs
from bench.proofs.subject import Subject
from reports.paper.claim import CONFIRMED, REFUTED, Claim, PaperClaim, all_of, untested
from reports.paper.figures import SERVERS, VERSIONS
from reports.results import Results
from reports.words.numbers import listed

FEATURE_OF = {
    "HTTP/1.1": "keep-alive",
    "WebSocket": "websocket",
    "HTTP/2": "http2-alpn",
    "HTTP/3": "http3",
}
"""The feature that proves each protocol."""
CLAIMED = {
    "uvicorn": ("HTTP/1.1", "WebSocket"),
    "daphne": ("HTTP/1.1", "WebSocket", "HTTP/2"),
    "hypercorn": ("HTTP/1.1", "WebSocket", "HTTP/2", "HTTP/3"),
}
"""What the paper says that each speaks, and by that what it doesn't."""
COMMAND = "./invoke features --servers uvicorn-paper,daphne-paper,hypercorn-paper"


def _judge(results: Results) -> tuple[Claim, ...]:
    proofs = results.proofs.of_kind(FEATURES, Findings)
    return tuple(_of_server(package, proofs) for package in SERVERS)


def _of_server(package: str, proofs: Proofs[Findings] | None) -> Claim:
    claimed = CLAIMED[package]
    text = f"Protocols: {package} speaks {listed(claimed)}" + ("" if "HTTP/3" in claimed else ", no other")
    chosen = None if proofs is None else _proven(package, proofs)
    if proofs is None or chosen is None:
        return untested(text, "stated", f"no proof of {package} is kept: run {COMMAND}")
    found = proofs.findings[chosen.server]
    spoken = {name: found[feature].verdict for name, feature in FEATURE_OF.items() if feature in found}
    missing = [name for name in FEATURE_OF if spoken.get(name, "untested") == "untested"]
    if missing:
        return untested(text, "stated", f"{listed(missing)} of {chosen.server} could not be tested")
    works = [name for name, verdict in spoken.items() if verdict == "works"]
    lacking = [name for name in claimed if name not in works]
    beyond = [name for name in works if name not in claimed]
    verdict = all_of([REFUTED if lacking or beyond else CONFIRMED])
    notes = [f"{chosen.title}, {chosen.when_and_where}"]
    if chosen.version != VERSIONS[package]:
        notes.append(f"the paper’s {VERSIONS[package]} was not probed")
    if lacking:
        notes.append(f"without {listed(lacking)}")
    if beyond:
        notes.append(f"{listed(beyond)} too")
    return Claim(text, "stated", listed(works), verdict, "; ".join(notes))


def _proven(package: str, proofs: Proofs[Findings]) -> Subject | None:
    """That of the paper's version before others, that with the package's name before its other set-ups."""
    several = [one for one in proofs.subjects.values() if one.package == package]
    ranked = sorted(several, key=lambda one: (one.version != VERSIONS[package], len(one.server)))
    return ranked[0] if ranked else None


CLAIM = PaperClaim(5, _judge)
