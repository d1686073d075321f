"""Waiting for sockets: epoll where there is one, else what the system has; when to look, when to sleep."""

from __future__ import annotations

import select
import selectors
import time
from collections.abc import Callable
from typing import Protocol

READ, WRITE = 1, 4  # the values of EPOLLIN and EPOLLOUT
SECOND = 1_000_000_000  # in nanoseconds
_BUSY_POLL_NANOSECONDS = (
    20_000  # what a server answers within that has tens of thousands of requests a second
)
_BUSY_POLLS_IN_VAIN_MOST = 6


class Watched:
    """What a poller's file descriptor stands for. ``fast``: the hot loop may read it itself."""

    __slots__ = ("fast",)

    def __init__(self) -> None:
        self.fast = False

    def on_event(self, mask: int) -> None:
        raise NotImplementedError


class Poller(Protocol):
    """Level-triggered readiness. ``poll`` returns ``[(fd, mask), ...]``; None waits for ever."""

    def register(self, fd: int, mask: int) -> object: ...

    def modify(self, fd: int, mask: int) -> object: ...

    def unregister(self, fd: int) -> object: ...

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]: ...

    def fileno(self) -> int: ...


class SelectorPoller:
    """Where there is no epoll: what ``selectors`` finds best (kqueue on macOS)."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selectors.DefaultSelector() if selector is None else selector

    def register(self, fd: int, mask: int) -> None:
        self._selector.register(fd, _selector_events(mask))

    def modify(self, fd: int, mask: int) -> None:
        self._selector.modify(fd, _selector_events(mask))

    def unregister(self, fd: int) -> None:
        self._selector.unregister(fd)

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        return [(key.fd, _mask(found)) for key, found in self._selector.select(timeout)]

    def fileno(self) -> int:
        return -1


def _selector_events(mask: int) -> int:
    return (selectors.EVENT_READ if mask & READ else 0) | (selectors.EVENT_WRITE if mask & WRITE else 0)


def _mask(events: int) -> int:
    return (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & selectors.EVENT_WRITE else 0)


def make_poller() -> Poller:
    return select.epoll() if hasattr(select, "epoll") else SelectorPoller()


class BusyPoll:
    """Looks again and again for some microseconds before it sleeps: to be woken costs more than to look.

    Only while it pays. Each time in vain doubles the number of waits that sleep at once, so a server that
    takes its time costs next to nothing. ``nanoseconds`` is the time spent so: CPU, but not work.
    """

    def __init__(self, poll: Callable[[float], list[tuple[int, int]]]) -> None:
        self._poll = poll
        self._in_vain = self._sleepy_waits = 0
        self.nanoseconds = 0

    def wait(self, timeout: float) -> list[tuple[int, int]]:
        """When nothing was ready a moment ago."""
        if self._sleepy_waits:
            self._sleepy_waits -= 1
            return self._poll(timeout)
        poll, clock = self._poll, time.perf_counter_ns
        began = now = clock()
        events: list[tuple[int, int]] = []
        while not events and now - began < _BUSY_POLL_NANOSECONDS:
            events = poll(0)
            now = clock()
        # A longer time is another process's, which had the core meanwhile.
        self.nanoseconds += min(now - began, _BUSY_POLL_NANOSECONDS)
        if events:
            self._in_vain = 0
            return events
        self._in_vain = min(self._in_vain + 1, _BUSY_POLLS_IN_VAIN_MOST)
        self._sleepy_waits = (1 << self._in_vain) - 1
        return poll(timeout)


class PreciseWait:
    """Waits for a poller to the microsecond; epoll alone rounds up to the next millisecond."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._fds = [poller.fileno()] if hasattr(select, "epoll") and poller.fileno() >= 0 else []

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        if not self._fds:
            return self._poller.poll(max(timeout, 0))
        if timeout > 0:
            select.select(self._fds, (), (), timeout)
        return self._poller.poll(0)
