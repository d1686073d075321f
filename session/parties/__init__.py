"""The parties of a run: server, database, agents and load.

Each is one object with the same life. ``start`` makes it ready once, before the first run. In every run it is
begun, checked while the load is on, and stopped; ``collect`` returns its part of the run's evidence.
"""

from __future__ import annotations

import msgspec

from session.parties.agents import AgentParty
from session.parties.database import DatabaseParty
from session.parties.load import LoadParty
from session.parties.server import BegunServer, ServerParty


class Parties(msgspec.Struct, frozen=True):
    """All that takes part in every run."""

    server: ServerParty
    database: DatabaseParty
    agents: AgentParty
    load: LoadParty

    def check(self, server: BegunServer) -> None:
        """Raises the error of a party that has ended in mid-run. Costs no round trip to any host."""
        self.load.check()
        self.server.check(server)
        self.database.check()
        self.agents.check()
