"""What the agent asks of a system about its processes. ``Gone`` and ``Unreadable`` are in ../processes.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from bench.wire.samples import FullRow, ProcessRow, QuotaRow, ThreadRow
from remote.onhost.processes import Kin


class FullReading(NamedTuple):
    """The rarer readings of one process."""

    row: FullRow
    threads: tuple[ThreadRow, ...]  # empty where the system doesn't report them
    refused: dict[str, str]  # what could not be read, to the reason


class Handle(Protocol):
    """One process, held so that a later one with the same number is never taken for it."""

    def basic(self) -> ProcessRow:
        """Raises Gone, Unreadable."""

    def full(self) -> FullReading:
        """Raises Gone."""

    def group(self) -> bytes | None:
        """What ``Reader.quotas`` knows its CPU quotas by; None: there are none. Raises Unreadable."""

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

    def quotas(self, groups: Iterable[bytes]) -> tuple[QuotaRow, ...]:
        """The CPU quotas that hold the processes of these groups, each once."""

    def close(self) -> None: ...
