"""What every probe of slow clients has: its order, the server's memory, and when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bench.wire.slow_clients import HeldConnections, SlowOrder, SlowReport, TreeMemory
from remote.onhost.slow_clients.crowd import Watch, ask_meanwhile, crowd
from remote.onhost.slow_clients.tree import ServerTree, allow_own_files

SETTLE_SECONDS = 0.5
LOOK_SECONDS = 0.2
SPARE_FILES = 200


class SlowProbe(Protocol):
    """A module of probes/ has one as ``run``."""

    def __call__(self, order: SlowOrder, tree: ServerTree) -> SlowReport: ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a probe must stop for the host's sake."""

    tree: ServerTree
    limit_bytes: int  # of the server's RSS

    @classmethod
    def of(cls, order: SlowOrder, tree: ServerTree) -> Bounds:
        return cls(tree, tree.rss_bytes() + order.cap_bytes)

    def why_stop(self) -> str:
        """ "" as long as the probe may go on."""
        rss_bytes = self.tree.rss_bytes()
        if rss_bytes == 0:
            return "the server has ended"
        if rss_bytes > self.limit_bytes:
            return f"the server's memory has grown to {rss_bytes / 1e6:,.0f} MB, which is as far as it may"
        return ""


def settled(tree: ServerTree) -> TreeMemory:
    time.sleep(SETTLE_SECONDS)
    return tree.read()


def hold(
    order: SlowOrder,
    tree: ServerTree,
    opening: bytes,
    *,
    now_and_then: bytes = b"",
    every_seconds: float = 0.0,
    awaits_answer: bool = False,
    while_open: Callable[[], None] = lambda: None,
) -> HeldConnections:
    """Open them, read the memory, see whether others are served, and watch whether the server closes them.

    ``now_and_then`` is sent over each that is open, every so many seconds.
    """
    files = order.connections + SPARE_FILES
    limit = allow_own_files(files) or tree.allow_files(files)
    bounds = Bounds.of(order, tree)
    before = settled(tree)
    with crowd(order, opening, awaits_answer=awaits_answer) as held:
        held.open(order.connections, bounds.why_stop)
        watch = Watch(held.peers)
        after = settled(tree)
        meanwhile = ask_meanwhile(order)
        while_open()
        stopped = _watch(watch, order, bounds, now_and_then, every_seconds)
        watch.end()
        problem = "; ".join(one for one in (held.problem, limit) if one)
        opened = len(held.peers)
    return HeldConnections(
        asked=order.connections,
        opened=opened,
        limit=problem if opened < order.connections else "",
        before=before,
        after=after,
        meanwhile=meanwhile,
        watched_seconds=watch.seconds,
        closed=len(watch.closed_seconds),
        first_closed_seconds=min(watch.closed_seconds, default=None),
        last_closed_seconds=max(watch.closed_seconds, default=None),
        answered_status=watch.first_status,
        stopped_early=stopped,
    )


def _watch(watch: Watch, order: SlowOrder, bounds: Bounds, now_and_then: bytes, every_seconds: float) -> str:
    """Until all are closed or the patience ends; why it stopped before."""
    send_at = watch.seconds + every_seconds
    while watch.open and watch.seconds < order.patience_seconds:
        watch.look(LOOK_SECONDS)
        if now_and_then and watch.seconds >= send_at:
            watch.send(now_and_then)
            send_at += every_seconds
        why = bounds.why_stop()
        if why:
            return why
    return ""
