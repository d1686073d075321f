"""A feature, how it is probed, and what a probe says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.wire.proving import Exhibit, ProbeOrder, Verdict


@dataclass(frozen=True, slots=True)
class Found:
    """What one probe says of one running server."""

    verdict: Verdict
    reason: str  # for a reader, without its full stop
    evidence: tuple[Exhibit, ...]


@dataclass(frozen=True, slots=True)
class Feature:
    """``probe`` asks the server, and holds what came over the wire against what the app saw.

    Each has a negative control: something that must not work, or the same request without the feature. It
    raises NotAnswered, OSError and what its client library raises; then nothing is proven.
    """

    name: str
    title: str
    reference: str  # the specification that it is held against
    launches: tuple[str, ...]  # where it is probed, in each that the server can be started in
    probe: Callable[[ProbeOrder], Found]
    # Where it is probed if the server can't be started in any of those: there it is proven to be absent.
    fallback: str = ""

    def is_for(self, launch: str, available: tuple[str, ...]) -> bool:
        if launch in self.launches:
            return True
        return launch == self.fallback and not set(self.launches) & set(available)


def works(reason: str, *evidence: Exhibit) -> Found:
    return Found("works", reason, evidence)


def absent(reason: str, *evidence: Exhibit) -> Found:
    return Found("absent", reason, evidence)


def advertised(reason: str, *evidence: Exhibit) -> Found:
    """The app finds it in its scope, and on the wire it does not work."""
    return Found("advertised", reason, evidence)


def broken(reason: str, *evidence: Exhibit) -> Found:
    """The probe's own control fails: it tells nothing."""
    return Found("untested", reason, evidence)
