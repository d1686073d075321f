"""What is read of the host as a whole."""

from __future__ import annotations

import resource
import sys

import psutil

from bench.wire.samples import CoreRow
from remote.onhost.agent.linux import ProcReader
from remote.onhost.agent.portable import PsutilReader


def reader_here() -> ProcReader | PsutilReader:
    return ProcReader() if sys.platform.startswith("linux") else PsutilReader()


def core_rows() -> tuple[CoreRow, ...]:
    """Each core of the host."""
    return tuple(
        CoreRow(round(core.user + core.nice + core.system, 3), getattr(core, "steal", None))
        for core in psutil.cpu_times(percpu=True)
    )


def network_bytes() -> tuple[int, int]:
    """Bytes sent and received by all of the host's interfaces but loopback, since its boot."""
    cards = psutil.net_io_counters(pernic=True)
    kept = [card for name, card in cards.items() if not name.startswith("lo")]
    return sum(card.bytes_sent for card in kept), sum(card.bytes_recv for card in kept)


def allow_many_files() -> None:
    """Two open files a process are held; raise the soft limit to what may be had without asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
