"""Why a server can't listen on a port, and what to do then."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.wire.guard import PortState

PortProblemKind = Literal["not_permitted", "not_an_own_address", "taken"]
KINDS: dict[str, PortProblemKind] = {"EACCES": "not_permitted", "EADDRNOTAVAIL": "not_an_own_address"}
REMEDIES: dict[PortProblemKind, str] = {
    "not_permitted": "Choose a port above 1023 with --port",
    "not_an_own_address": "Set asgibench_bind to an address of the machine's own; "
    "clients use asgibench_address",
    "taken": "Stop what listens there, or choose another port with --port",
}


class PortProblem(msgspec.Struct, frozen=True):
    """``text`` is the system's own word for it."""

    kind: PortProblemKind
    text: str

    @classmethod
    def of(cls, state: PortState) -> PortProblem | None:
        """None where a server can listen."""
        if state.errno_name:
            kind = KINDS.get(state.errno_name, "taken")
            return cls(kind, f"{state.errno_name} {state.error}".strip())
        return cls("taken", "something answers there already") if state.is_answered else None

    @property
    def remedy(self) -> str:
        return REMEDIES[self.kind]

    def on(self, place: str) -> str:
        """The whole of it for ``place``, an address and a port."""
        if self.kind == "taken":
            return f"{place} is taken ({self.text})"
        return f"a server can't listen on {place} ({self.text})"
