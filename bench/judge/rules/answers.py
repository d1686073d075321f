"""The answers: whether there were any, whether they were good, and whether all parties counted the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import Priority, Rule
from bench.judge.thresholds import Thresholds
from bench.results.upper_share import upper_share

# One in a thousand: more than a rare reset, and p99.9 would be about failures.
FAILURE_SHARE = 0.001
# They have a rule of their own.
WRONG_BODIES = ("bad_body", "bad_length")


class NothingAnswered(Rule, frozen=True):
    """Not one request was answered in full."""

    priority: ClassVar[Priority] = Priority.NO_ANSWER

    failures: int
    invalidates: bool = True
    remedy: str = "See the server's log and the kinds of failure"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[NothingAnswered]:
        if not figures.requests:
            yield cls(figures.failed)

    @property
    def text(self) -> str:
        return f"no request was answered in full, {self.failures} failed"


class Failures(Rule, frozen=True):
    """Requests of one kind of failure. All kinds together void the run if they are too many."""

    priority: ClassVar[Priority] = Priority.FAILURES

    kind: str
    count: int
    share: float  # of all requests in the window
    invalidates: bool
    remedy: str = "See the server's log"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[Failures]:
        total = figures.requests + figures.failed
        for kind, count in sorted(figures.failures.items()):
            if count and kind not in WRONG_BODIES:
                yield cls(kind, count, count / total, invalidates=figures.failed > FAILURE_SHARE * total)

    @property
    def text(self) -> str:
        return f"{self.count} requests failed ({self.kind}), {self.share:.2%} of all"


class WrongAnswers(Rule, frozen=True):
    """Bodies other than the right one. One is enough: whoever answers wrongly may do without the work."""

    priority: ClassVar[Priority] = Priority.NO_ANSWER

    wrong: int
    checked: int  # answers whose body was looked at
    of: int  # answers in all, of the right status
    by_length: bool  # its length tells it already, which that of every answer was held against
    invalidates: bool = True
    remedy: str = "Ask the server for this endpoint by hand, and see what it answers"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[WrongAnswers]:
        wrong, of_wrong_length = (figures.failures.get(kind, 0) for kind in WRONG_BODIES)
        of = figures.requests + wrong + of_wrong_length
        if wrong:
            answers = figures.answers
            checked = wrong if answers is None else max(answers.bodies_checked, wrong)
            yield cls(wrong, checked, of, by_length=False)
        if of_wrong_length:
            yield cls(of_wrong_length, of, of, by_length=True)

    @property
    def text(self) -> str:
        which = "of the wrong length" if self.by_length else "wrong"
        found = f"{self.wrong:,} of the {self.checked:,} bodies that were looked at were {which}"
        if self.checked >= self.of:
            return f"{self.wrong:,} of {self.of:,} answers had a body that was {which} ({_part(self.share)})"
        most = upper_share(self.wrong, self.checked)
        return f"{found}: about {_part(self.share)} of all answers, and {_part(most)} at most"

    @property
    def share(self) -> float:
        """Of all answers, estimated from those that were looked at."""
        return self.wrong / self.checked


def _part(share: float) -> str:
    if share < 0.0001:
        return "less than 0.01%"
    return f"{share:.2%}" if share < 0.1 else f"{share:.0%}"


class CountsDisagree(Rule, frozen=True):
    """The parties counted different numbers of answers. None: this party did not count.

    The server may have answered what was still under way when the load stopped.
    """

    priority: ClassVar[Priority] = Priority.COUNTS

    engine: int
    server: int | None
    locust: int
    spool: int | None
    in_flight_at_stop: int
    invalidates: bool = True
    remedy: str = "Measure again; if it stays, something else talks to this server, or answers were lost"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[CountsDisagree]:
        counts = figures.counts
        if counts is None:
            return
        same = counts.locust == counts.engine and counts.spool in (None, counts.engine)
        if counts.server is not None:
            same = same and 0 <= counts.server - counts.engine <= counts.in_flight_at_stop
        if not same:
            yield cls(counts.engine, counts.server, counts.locust, counts.spool, counts.in_flight_at_stop)

    @property
    def text(self) -> str:
        others = f"locust {self.locust}, server {self.server}, spool {self.spool}"
        return f"answers were counted differently: engine {self.engine}, {others}"
