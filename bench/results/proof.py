"""What was asked of a server beside what it was seen to do, for each setting. Kept in every run's result."""

from __future__ import annotations

from typing import Literal

import msgspec

ProofVerdict = Literal["proven", "contradicted", "declared", "not_observable", "not_asked"]
"""Of one setting. ``declared``: it does something else, and its entry in the catalogue says so."""


class SettingProof(msgspec.Struct, frozen=True):
    """One setting of a running server."""

    setting: str  # as the catalogue names it
    asked: str  # for a reader; "" where nothing was asked
    seen: str  # for a reader; "" where nothing was seen
    how: str  # how it was observed; where it wasn't, why
    verdict: ProofVerdict

    @property
    def text(self) -> str:
        """For a reader, of a contradiction: ``loop: asked for uvloop, seen asyncio (how)``."""
        return f"{self.setting}: asked for {self.asked}, seen {self.seen} ({self.how})"


class AfterRun(msgspec.Struct, frozen=True):
    """What a run leaves behind of how its server was set up."""

    log_bytes: int  # that its log grew by, from ready to its stop
    requests: int  # that it answered meanwhile
    answering: int  # how many of its processes have answered

    @property
    def log_bytes_per_request(self) -> float:
        return self.log_bytes / self.requests if self.requests else 0.0


def contradictions(proof: tuple[SettingProof, ...]) -> tuple[SettingProof, ...]:
    return tuple(one for one in proof if one.verdict == "contradicted")
