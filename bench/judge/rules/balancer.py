"""The load balancer before the server: whether it was what was measured.

One that shares the server's cores is part of what they do, as a database on them is: together they are what
so many cores answer behind a balancer, and the figure counts. One that has a core of its own and has used it
up while the server had CPU to spare was the limit: the figure is the balancer's, and ranks no server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.judge.figures import RunFigures
from bench.judge.rule import LimitName, Priority, Rule
from bench.judge.thresholds import Thresholds
from bench.judge.words import cores_words


class BalancerAtLimit(Rule, frozen=True):
    """The balancer used up its core, or most of those that it shares, and the server had no part in it."""

    limit: ClassVar[LimitName | None] = "load_balancer"
    priority: ClassVar[Priority] = Priority.BALANCER
    unranks: ClassVar[bool] = True

    core_share: float
    server_share: float
    server_cores: float
    remedy: str = "Read it as the balancer's figure: it has one thread. Compare servers without it"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[BalancerAtLimit]:
        server, balancer = figures.server, figures.balancer
        if server is None or balancer is None or figures.is_server_saturated(thresholds):
            return
        fills_both = figures.balancer_on_server_cores and figures.shared_fill >= thresholds.server_saturated
        if balancer.part >= thresholds.server_saturated or fills_both:
            yield cls(balancer.core_share, server.core_share, server.cores)

    @property
    def share(self) -> float:
        return self.core_share

    @property
    def text(self) -> str:
        return (
            f"the load balancer used {self.core_share:.2f} of the one core that it can fill, "
            f"the server {self.server_share:.2f} of {cores_words(self.server_cores)}"
        )


class BalancerSharesCores(Rule, frozen=True):
    """Server and balancer used up the same cores: differences between servers show diluted."""

    priority: ClassVar[Priority] = Priority.BALANCER

    server_share: float
    balancer_share: float
    cores: float
    remedy: str = "Give the server's host a core more than the server has workers"

    @classmethod
    def find(cls, figures: RunFigures, thresholds: Thresholds) -> Iterator[BalancerSharesCores]:
        server, balancer = figures.server, figures.balancer
        if server is None or balancer is None or not figures.balancer_on_server_cores:
            return
        if figures.is_server_saturated(thresholds) and figures.shared_fill >= figures.saturated_line(
            thresholds
        ):
            yield cls(server.core_share, balancer.core_share, figures.cores_shared)

    @property
    def text(self) -> str:
        return (
            f"the load balancer took {self.balancer_share:.2f} of the {cores_words(self.cores)} it shares "
            f"with the server, which had {self.server_share:.2f}"
        )
