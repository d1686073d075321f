"""The processes of this host, as the guard and the agent see them. Standard library only; Linux and macOS."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from typing import NamedTuple


class Gone(Exception):
    """The process has ended (a zombie has, too)."""


class Unreadable(Exception):
    """The system refuses; the text says why."""


class Kin(NamedTuple):
    """What a process's place in a tree goes by."""

    parent: int
    session: int
    # 0 where the reader did not ask for it.
    group: int = 0
    # When it started, in the system's own words: a later process with the same number differs in it.
    started: str = ""


def gone_or_unreadable(error: OSError) -> Gone | Unreadable:
    """What an error in reading a process's files means."""
    if error.errno in (errno.ENOENT, errno.ESRCH, errno.ENOTDIR):
        return Gone()
    return Unreadable(os.strerror(error.errno or 0))


def read_file(path: str, size: int = 4096) -> bytes:
    """The first ``size`` bytes of a file of /proc. Raises Gone, Unreadable."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(file, size)
        finally:
            os.close(file)
    except OSError as error:
        raise gone_or_unreadable(error) from error


def stat_fields(stat: bytes, count: int = 18) -> list[bytes]:
    """The first ``count`` fields after the command, which may hold spaces and brackets, then the rest in one.

    Raises Gone for a zombie.
    """
    fields = stat[stat.rindex(b")") + 2 :].split(b" ", count)
    if fields[0] in (b"Z", b"X", b"x"):
        raise Gone
    return fields


def process_table() -> dict[int, Kin]:
    """{process number: its kin} of every live process that can be seen."""
    return dict(_linux_processes() if sys.platform == "linux" else _listed_processes())


def kin_of(pid: int) -> Kin | None:
    """None for a process that has ended, or that can't be seen."""
    if sys.platform != "linux":
        return process_table().get(pid)
    try:
        fields = stat_fields(read_file(f"/proc/{pid}/stat"), 20)
    except (Gone, Unreadable):
        return None
    return Kin(int(fields[1]), int(fields[3]), int(fields[2]), fields[19].decode())


def family(leaders: set[int], table: dict[int, Kin]) -> list[int]:
    """The live processes of the leaders' sessions and groups, and all descendants of these."""
    found = {pid for pid, kin in table.items() if leaders & {pid, kin.session, kin.group}}
    while new := {pid for pid, kin in table.items() if kin.parent in found and pid not in found}:
        found |= new
    return sorted(found)


def _linux_processes() -> Iterator[tuple[int, Kin]]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - one call, and no object for each row
        if name.isdigit():
            kin = kin_of(int(name))
            if kin is not None:
                yield int(name), kin


def _listed_processes() -> Iterator[tuple[int, Kin]]:
    import subprocess  # Linux needs it nowhere here, and the guard's start would wait for it

    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,pgid=,stat=,lstart="], capture_output=True, text=True, check=True
    )
    for line in listing.stdout.splitlines():
        pid, parent, group, state, started = line.split(None, 4)
        if not state.startswith("Z"):
            # A session of ours has one group unless a process makes its own; ps has no session number here.
            yield int(pid), Kin(int(parent), int(group), int(group), started)
