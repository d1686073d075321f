"""Processes known by more than a number that the system gives away again."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.errors import LabError

END_TIMEOUT_SECONDS = 10.0
PROC = Path("/proc")


class ProcessMark(msgspec.Struct, frozen=True):
    """A process: its number, when it started (clock ticks since boot), and which boot that was."""

    pid: int
    start_ticks: int
    boot_id: str


def boot_id() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it has ended."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def mark_process(pid: int) -> ProcessMark | None:
    """The mark of a running process, else None."""
    ticks = start_ticks(pid)
    return None if ticks is None else ProcessMark(pid, ticks, boot_id())


def is_alive(mark: ProcessMark) -> bool:
    return start_ticks(mark.pid) == mark.start_ticks and boot_id() == mark.boot_id


def send_signal(mark: ProcessMark, number: signal.Signals) -> bool:
    """Signal exactly the marked process; False when it has ended."""
    if sys.platform != "linux":
        raise LabError("lab hosts are Linux only", remedy="See `./invoke lab.up`")
    try:
        descriptor = os.pidfd_open(mark.pid)
    except ProcessLookupError:
        return False
    try:
        # Looked at after the descriptor was opened: from here on the number can't become another process.
        if not is_alive(mark):
            return False
        signal.pidfd_send_signal(descriptor, number)
        if number == signal.SIGKILL:
            wait_for_end(descriptor, mark)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)


def wait_for_end(descriptor: int, mark: ProcessMark) -> None:
    """Wait until a killed process has ended; the init of a PID namespace takes all of it along."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(END_TIMEOUT_SECONDS * 1000):
        raise LabError(
            f"process {mark.pid} of the lab does not end",
            remedy="Look at it with ps; then `./invoke lab.down`",
        )


def namespace_id(pid: int, kind: str) -> int | None:
    """The inode of a process's namespace (``net``, ``pid``...); None when it has ended or is hidden."""
    try:
        return (PROC / str(pid) / "ns" / kind).stat().st_ino
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        # Some systems keep even root from looking into their own first process.
        return None


def pids_in_namespace(kind: str, inode: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Each process of a namespace: its number here, and its numbers from here inwards."""
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and namespace_id(int(entry.name), kind) == inode:
            numbers = inward_pids(int(entry.name))
            if numbers:
                yield int(entry.name), numbers


def inward_pids(pid: int) -> tuple[int, ...]:
    try:
        status = (PROC / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    lines = [line for line in status.splitlines() if line.startswith("NSpid:")]
    return tuple(int(number) for number in lines[0].split()[1:]) if lines else ()
