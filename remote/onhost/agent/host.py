"""What is read of the host as a whole."""

from __future__ import annotations

import resource
import sys
from typing import NamedTuple

import psutil

from bench.wire.samples import CoreRow
from remote.onhost.agent.linux import ProcReader
from remote.onhost.agent.portable import PsutilReader

# An interrupt takes a microsecond at least: so many are ten of the hundredths that the kernel counts in.
INTERRUPTS_THAT_TELL = 100_000


class NetworkCounts(NamedTuple):
    """Each sent and received."""

    bytes: tuple[int, int]
    packets: tuple[int, int]


def reader_here() -> ProcReader | PsutilReader:
    return ProcReader() if sys.platform.startswith("linux") else PsutilReader()


def core_rows() -> tuple[CoreRow, ...]:
    """Each core of the host."""
    return tuple(
        CoreRow(
            round(core.user + core.nice + core.system, 3),
            getattr(core, "steal", None),
            interrupt_seconds(core),
        )
        for core in psutil.cpu_times(percpu=True)
    )


def interrupt_seconds(core: object) -> float | None:
    """Of a core's times by psutil; None where the system doesn't tell."""
    hard, soft = getattr(core, "irq", None), getattr(core, "softirq", None)
    return None if hard is None or soft is None else round(hard + soft, 3)


def are_interrupts_apart() -> bool | None:
    """Whether interrupts' time is in no process's CPU seconds; None: it isn't known.

    A kernel that keeps it apart measures every interrupt, and its count of hard interrupts' seconds grows.
    Any other charges whole ticks to what they find at work, and never finds a hard interrupt: in a tick's own
    the others are off. So no second after many interrupts tells that they are in the processes' time.
    """
    if not sys.platform.startswith("linux"):
        return None
    return interrupts_apart(psutil.cpu_times().irq, psutil.cpu_stats().interrupts)


def interrupts_apart(seconds: float, interrupts: int) -> bool | None:
    """From what a Linux host has counted of hard interrupts since its boot."""
    if seconds > 0:
        return True
    return False if interrupts >= INTERRUPTS_THAT_TELL else None


def network_counts() -> NetworkCounts:
    """Of all of the host's interfaces but loopback, since its boot."""
    cards = psutil.net_io_counters(pernic=True)
    kept = [card for name, card in cards.items() if not name.startswith("lo")]
    return NetworkCounts(
        (sum(card.bytes_sent for card in kept), sum(card.bytes_recv for card in kept)),
        (sum(card.packets_sent for card in kept), sum(card.packets_recv for card in kept)),
    )


def allow_many_files() -> None:
    """Two open files of a process and two of a thread are held: raise the soft limit as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
