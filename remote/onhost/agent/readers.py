"""What the agent asks of a system about its processes. ``Gone`` and ``Unreadable`` are in ../processes.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from bench.wire.samples import FullRow, ProcessRow
from remote.onhost.processes import Kin


class Handle(Protocol):
    """One process, held so that a later one with the same number is never taken for it."""

    def basic(self) -> ProcessRow:
        """Raises Gone, Unreadable."""

    def full(self) -> tuple[FullRow, dict[str, str]]:
        """The row, and of each part that could not be read the reason. Raises Gone."""

    def close(self) -> None: ...


class Reader(Protocol):
    """How this system reports its processes. ``absent`` maps what it never reports to the reason."""

    name: str
    absent: dict[str, str]

    def newest(self) -> bytes | None:
        """Changes with every new process; None if the system doesn't report it."""

    def pids(self) -> Iterable[int]:
        """Every process that can be seen."""

    def kin(self, pid: int) -> Kin:
        """Raises Gone, Unreadable."""

    def hold(self, pid: int) -> Handle:
        """Raises Gone, Unreadable."""

    def close(self) -> None: ...
