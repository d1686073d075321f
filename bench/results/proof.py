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


class LogGrowth(msgspec.Struct, frozen=True):
    """Of a server's log over a run, from ready to its stop."""

    log_bytes: int
    requests: int  # that the server answered meanwhile

    @property
    def bytes_per_request(self) -> float:
        return self.log_bytes / self.requests if self.requests else 0.0


def contradictions(proof: tuple[SettingProof, ...]) -> tuple[SettingProof, ...]:
    return tuple(one for one in proof if one.verdict == "contradicted")
