"""The database: whether it held the run back, and whether every answer came from it.

Server and database on the same cores: a server that needs half the CPU per request still shows as faster,
only diluted, so the run counts (``DatabaseSharesCores`` says by how much it dilutes) unless the server's part
is a small one: then it is the database that was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import LimitName, Priority, Rule
from bench.judge.thresholds import Thresholds
from bench.judge.words import cores_words

# The agent samples the database's CPU in the same 10 ms ticks as the server's: full cores read 0.97 to 1.0.
DATABASE_SATURATED = 0.95
# The database flushes its counters at most once a second per connection.
COUNTERS_OFF_SHARE = 0.02
COUNTERS_OFF_COUNT = 50


class DatabaseAtLimit(Rule, frozen=True):
    """The database was saturated and the server was not."""

    limit: ClassVar[LimitName | None] = "database"
    priority: ClassVar[Priority] = Priority.DATABASE

    core_share: float
    cores: float
    invalidates: bool = True
    remedy: str = "Give the database more cores, or a host of its own (group database)"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[DatabaseAtLimit]:
        server, database = figures.server, figures.database
        if database is None or figures.is_server_saturated(thresholds):
            return
        if not figures.database_on_server_cores or server is None:
            if database.part >= DATABASE_SATURATED:
                yield cls(database.core_share, database.cores)
        elif figures.shared_fill >= figures.saturated_line(thresholds):
            yield cls(database.core_share, figures.cores_shared)

    @property
    def text(self) -> str:
        return f"the database used {self.core_share:.2f} of {cores_words(self.cores)}"


class DatabaseSharesCores(Rule, frozen=True):
    """Server and database used up the same cores: differences between servers show diluted."""

    priority: ClassVar[Priority] = Priority.DATABASE

    server_share: float
    database_share: float
    cores: float
    remedy: str = "Put the database on a host of its own (group database)"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[DatabaseSharesCores]:
        server, database = figures.server, figures.database
        if server is None or database is None or not figures.database_on_server_cores:
            return
        if figures.is_server_saturated(thresholds) and figures.shared_fill >= figures.saturated_line(
            thresholds
        ):
            yield cls(server.core_share, database.core_share, figures.cores_shared)

    @property
    def server_part(self) -> float:
        return self.server_share / (self.server_share + self.database_share)

    @property
    def text(self) -> str:
        return (
            f"the database took {self.database_share:.2f} of the {cores_words(self.cores)} it shares "
            f"with the server, which had {self.server_share:.2f}: {self.server_part:.0%} of what a request "
            "costs there is server and app. The database costs all about the same, so servers' requests/s "
            "differ by less than their CPU per request"
        )


class DatabaseCountersDisagree(Rule, frozen=True):
    """The database did another number of transactions than the requests need.

    Fewer void the run: requests were answered without it. More can be another user of the same database.
    """

    priority: ClassVar[Priority] = Priority.COUNTS

    transactions: int
    expected: int
    invalidates: bool
    remedy: str = "See that no cache answers and that nobody else uses this database"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[DatabaseCountersDisagree]:
        use, each = figures.database_use, figures.expected_transactions_per_request
        if use is None or each is None:
            return
        expected = round(use.requests * each)
        allowed = max(COUNTERS_OFF_COUNT, COUNTERS_OFF_SHARE * expected)
        if abs(use.transactions - expected) > allowed:
            yield cls(use.transactions, expected, invalidates=use.transactions < expected)

    @property
    def text(self) -> str:
        return f"the database counted {self.transactions} transactions, the requests need {self.expected}"
