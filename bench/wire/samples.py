"""The lines of a samples file: one JSON object each, whose ``k`` names the kind.

The agent writes one file a run: a Header, then Samples (and a TargetGone or a Note where there is news),
then a Footer. A file without a Footer was cut off. A field's key on the disk is its name here, or the shorter
``key`` of its metadata. Rows of processes and cores are arrays, in the order of their fields.

CPU seconds are user and system time together, over all threads. ``monotonic_seconds`` is of the host's
monotonic clock, by which all samples are placed in time; where ``wall_seconds`` is there too, both are of the
same moment, so that one sees whether the time of day was set meanwhile. None stands for what could not be
read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, NamedTuple

from bench.wire.codec import to_plain

SAMPLES_VERSION = 1
KIND = "k"

MONOTONIC = {"key": "m"}
WALL = {"key": "t"}
AGENT_CPU = {"key": "c"}


class ProcessRow(NamedTuple):
    """One process in one sample."""

    pid: int
    rss_kib: int | None  # on Linux the kernel's running count, which may lag by 64 pages a core
    cpu_seconds: float | None  # since the process began
    threads: int | None


class FullRow(NamedTuple):
    """The rarer readings of one process."""

    pid: int
    pss_kib: int | None
    uss_kib: int | None
    open_files: int | None
    voluntary_switches: int | None  # context switches over all threads; None above 64 threads
    involuntary_switches: int | None
    # CPU of its children that have ended and that it has waited for, and of theirs. None in older files.
    children_seconds: float | None = None


class ThreadRow(NamedTuple):
    """One thread of a process since it began."""

    pid: int
    thread: int
    cpu_seconds: float
    wait_seconds: float  # ready to run while something else had its core


class QuotaRow(NamedTuple):
    """One control group that a target is in, of those with a CPU quota; counts are since it was made."""

    group: str  # its folder
    cores: float  # what all of its processes may use together
    periods: int  # in which it had something to run
    throttled_periods: int  # of these, the ones in which the quota was used up before the end
    throttled_seconds: float  # how long its processes were stopped for that, summed over the cores


class CoreRow(NamedTuple):
    """One core of the host since its boot, by all programs."""

    busy_seconds: float  # without interrupts: what the network costs the kernel is no single program's
    stolen_seconds: float | None  # that the hypervisor gave to other machines; None: not reported
    interrupt_seconds: float | None = None  # hard and soft ones; None: not reported, or an older file


@dataclass(frozen=True, slots=True)
class Header:
    """The first line."""

    version: int
    run: str
    host: str  # as the host calls itself
    system: str  # Linux or Darwin
    wall_seconds: float = field(metadata=WALL)  # since 1970, when the run began
    monotonic_seconds: float = field(metadata=MONOTONIC)  # of the same moment
    interval_seconds: float  # from one sample to the next
    full_interval_seconds: float  # between the readings that cost more
    targets: dict[str, int]  # a name to the process whose tree is sampled
    absent: dict[str, str]  # what this system never reports (pss, uss) to the reason
    reader: str  # proc or psutil
    agent_pid: int
    page_bytes: int
    psutil: str  # its version
    python: str = ""  # the agent's
    release: str = ""  # the kernel's
    clock: str = ""  # which the monotonic one is
    # Interrupts are in no process's CPU seconds. None: not known, or an older file.
    interrupts_apart: bool | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One slot of the schedule. The fields from ``wall_seconds`` on are there once a full interval."""

    monotonic_seconds: float = field(metadata=MONOTONIC)
    processes: dict[str, tuple[ProcessRow, ...]] = field(metadata={"key": "p"})  # by target that hasn't ended
    wall_seconds: float | None = field(default=None, metadata=WALL)
    agent_cpu_seconds: float | None = field(default=None, metadata=AGENT_CPU)  # of the agent since its start
    late_seconds: float | None = field(default=None, metadata={"key": "late"})  # the interval's worst
    missed: int | None = None  # slots lost since the run began
    cores: tuple[CoreRow, ...] = field(default=(), metadata={"key": "u"})
    # Sent and received by the host's interfaces without loopback, since its boot.
    network_bytes: tuple[int, int] | None = field(default=None, metadata={"key": "n"})
    # By target; rarer for one whose readings take long.
    full: dict[str, tuple[FullRow, ...]] = field(default_factory=dict, metadata={"key": "f"})
    # Sent and received by the same interfaces; None in older files.
    network_packets: tuple[int, int] | None = field(default=None, metadata={"key": "np"})
    # With ``full``: by target, of the processes whose threads the system reports.
    threads: dict[str, tuple[ThreadRow, ...]] = field(default_factory=dict, metadata={"key": "th"})
    # By target that is under a quota.
    quotas: dict[str, tuple[QuotaRow, ...]] = field(default_factory=dict, metadata={"key": "q"})


@dataclass(frozen=True, slots=True)
class TargetGone:
    """A target's last process has ended."""

    target: str
    wall_seconds: float = field(metadata=WALL)
    monotonic_seconds: float = field(metadata=MONOTONIC)


@dataclass(frozen=True, slots=True)
class Note:
    """What of a process could not be read, and why. Written once for each process and part."""

    pid: int
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Footer:
    """The last line: how the run ended, and how its schedule was kept."""

    reason: str  # asked, targets_gone, max_seconds or signal; quit in older files
    lines: int  # before this one
    samples: int
    missed: int
    late_max_seconds: float = field(metadata={"key": "late_max"})
    late_mean_seconds: float = field(metadata={"key": "late_mean"})
    agent_cpu_seconds: float = field(metadata=AGENT_CPU)
    wall_seconds: float = field(metadata=WALL)
    monotonic_seconds: float = field(metadata=MONOTONIC)


Line = Header | Sample | TargetGone | Note | Footer

LINES: dict[str, type[Line]] = {"head": Header, "s": Sample, "gone": TargetGone, "note": Note, "end": Footer}
_NAMES = {kind: name for name, kind in LINES.items()}


def key_of(field: Field[Any]) -> str:
    """The key on the disk of a line's field."""
    key: str = field.metadata.get("key", field.name)
    return key


def encode_record(record: Header | TargetGone | Note | Footer) -> bytes:
    kind = type(record)
    line = {key_of(one): to_plain(getattr(record, one.name)) for one in fields(kind)}
    return _json({KIND: _NAMES[kind], **line}).encode() + b"\n"


def encode_bare_sample(monotonic_seconds: float, processes: Mapping[str, Sequence[ProcessRow]]) -> bytes:
    """A Sample without what is read once a full interval.

    By hand and without an object, because it is written ten times a second beside what is measured.
    """
    return (_start_of_sample(monotonic_seconds, processes) + "}\n").encode()


def encode_sample(sample: Sample) -> bytes:
    """A Sample with what is read once a full interval."""
    return (
        f"{_start_of_sample(sample.monotonic_seconds, sample.processes)}"
        f',"t":{sample.wall_seconds:.4f},"c":{sample.agent_cpu_seconds:.4f},"late":{sample.late_seconds:.4f}'
        f',"missed":{sample.missed},"u":{_json(sample.cores)},"n":{_json(sample.network_bytes)}'
        f',"f":{_json(sample.full)},"np":{_json(sample.network_packets)}{_rare(sample)}}}\n'
    ).encode()


def _rare(sample: Sample) -> str:
    """What many samples don't have."""
    threads = f',"th":{_json(sample.threads)}' if sample.threads else ""
    return f'{threads},"q":{_json(sample.quotas)}' if sample.quotas else threads


def _start_of_sample(monotonic_seconds: float, processes: Mapping[str, Sequence[ProcessRow]]) -> str:
    trees = []
    for name, rows in processes.items():
        texts = [
            f"[{pid},{rss_kib},{cpu:.2f},{threads}]" if rss_kib is not None else f"[{pid},null,null,null]"
            for pid, rss_kib, cpu, threads in rows
        ]
        trees.append(f"{json.dumps(name)}:[{','.join(texts)}]")
    return f'{{"k":"s","m":{monotonic_seconds:.4f},"p":{{{",".join(trees)}}}'


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
